# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /pgorigin ./cmd/pgorigin

# Nothing but the binary and the public CAs: no shell, no package manager, no user that could log in.
FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="pgorigin" \
      org.opencontainers.image.description="TLS-origination sidecar for Postgres" \
      org.opencontainers.image.source="https://github.com/pgorigin/pgorigin" \
      org.opencontainers.image.documentation="https://github.com/pgorigin/pgorigin#readme" \
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
