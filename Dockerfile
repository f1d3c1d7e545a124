# Compiles on the machine that builds, for the platform that is asked for: nothing of that platform is run.
ARG BUILD_IMAGE=docker.io/library/golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d
FROM --platform=$BUILDPLATFORM $BUILD_IMAGE AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
ARG REVISION=unknown
ARG CREATED=unknown
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    make build BINARY=/pgorigin GOOS=$TARGETOS GOARCH=$TARGETARCH VERSION="$VERSION" REVISION="$REVISION" CREATED="$CREATED"

# Nothing but the binary and the public CAs: no shell, no package manager, no user that could log in.
FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="pgorigin" \
      org.opencontainers.image.description="TLS-origination sidecar for Postgres" \
      org.opencontainers.image.source="https://github.com/pgorigin/pgorigin" \
      org.opencontainers.image.documentation="https://github.com/pgorigin/pgorigin/blob/main/docs/how-to/compose.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /pgorigin /pgorigin
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
EXPOSE 6432 9632
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/pgorigin", "healthcheck"]
ENTRYPOINT ["/pgorigin"]
CMD ["run"]
