# The image: one static binary, the roots of TLS, and a folder for its state. No shell, no libc.
#
#   configs/packaging/build && buildah bud -t sidelight -f Dockerfile target/dist   (or: docker build)
FROM scratch
LABEL org.opencontainers.image.title="sidelight" \
      org.opencontainers.image.description="Observability sidecar for Apache Spark and Apache Flink jobs" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY sidelight /usr/bin/sidelight
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chown=65532:65532 state /var/lib/sidelight
# There is no /tmp; `sidelight demo` wants one.
ENV TMPDIR=/var/lib/sidelight
USER 65532:65532
ENTRYPOINT ["/usr/bin/sidelight"]
CMD ["run"]
