"""A receiver of OTLP on 127.0.0.1 made of what others wrote: grpcio with oteltest's servicers, and the
messages of opentelemetry-proto behind Python's HTTP server. Every request is one JSON line of the file.

usage: sink.py FILE GRPC_PORT HTTP_PORT
"""
import gzip
import json
import signal
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from oteltest.sink.private import (
    _LogsServiceServicer,
    _MetricsServiceServicer,
    _TraceServiceServicer,
)

out = open(sys.argv[1], "a", buffering=1)
lock = threading.Lock()


def recorder(signal_name, via):
    def record(request, headers):
        headers = {key: str(value) for key, value in headers.items()}
        line = {"signal": signal_name, "via": via, "headers": headers, "body": MessageToDict(request)}
        with lock:
            out.write(json.dumps(line) + "\n")

    return record


server = grpc.server(futures.ThreadPoolExecutor(8))
logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
    _LogsServiceServicer(recorder("logs", "grpc")), server
)
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
    _MetricsServiceServicer(recorder("metrics", "grpc")), server
)
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
    _TraceServiceServicer(recorder("traces", "grpc")), server
)
server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
server.start()

PATHS = {
    "/v1/logs": ("logs", logs_service_pb2, "ExportLogsService"),
    "/v1/metrics": ("metrics", metrics_service_pb2, "ExportMetricsService"),
    "/v1/traces": ("traces", trace_service_pb2, "ExportTraceService"),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path not in PATHS:
            return self.reply(404)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        signal_name, module, name = PATHS[self.path]
        request = getattr(module, name + "Request")()
        request.ParseFromString(body)
        recorder(signal_name, "http")(request, dict(self.headers))
        self.reply(200, getattr(module, name + "Response")().SerializeToString())


http = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Handler)
threading.Thread(target=http.serve_forever, daemon=True).start()
print("ready", flush=True)
signal.sigwait([signal.SIGTERM, signal.SIGINT])
server.stop(1).wait()
