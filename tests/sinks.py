"""Receivers for tests/figures that take everything at once and only count: `sinks.py otlp` speaks OTLP over
gRPC (needs grpcio, which tests/setup installs with the peers), `sinks.py s3` what the archive needs of S3.
Prints its address, and what it has counted when its standard input ends."""

import http.server, json, re, sys, threading

counts = {"requests": 0, "bytes": 0}
lock = threading.Lock()
# A server of grpc ends when nothing refers to it.
servers = []


def count(n_bytes):
    with lock:
        counts["requests"] += 1
        counts["bytes"] += n_bytes


def otlp():
    import grpc
    from concurrent import futures

    class Everything(grpc.GenericRpcHandler):
        def service(self, details):
            def taken(request, context):
                count(len(request))
                return b""

            return grpc.unary_unary_rpc_method_handler(taken)

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Everything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    servers.append(server)
    return port


class Bucket(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body=b""):
        length = int(self.headers.get("content-length") or 0)
        if "100-continue" in (self.headers.get("expect") or ""):
            self.send_response_only(100)
            self.end_headers()
        while length > 0:
            part = self.rfile.read(min(length, 1 << 20))
            length -= len(part)
            count(len(part))
        self.send_response(200)
        self.send_header("etag", '"e"')
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_expect_100(self):
        return True

    def do_PUT(self):
        self.answer()

    def do_GET(self):
        self.answer(b"<ListMultipartUploadsResult></ListMultipartUploadsResult>")

    def do_POST(self):
        if re.search(r"[?&]uploads", self.path):
            self.answer(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        else:
            self.answer(b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")

    def log_message(self, *_):
        pass


def s3():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


print(f"http://127.0.0.1:{ {'otlp': otlp, 's3': s3}[sys.argv[1]]() }", flush=True)
sys.stdin.read()
print(json.dumps(counts), flush=True)
