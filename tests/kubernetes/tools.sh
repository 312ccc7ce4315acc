#!/bin/sh
# Builds and unpacks what a Kubernetes node is, into .tools/kubernetes: its commands and CoreDNS from their Go modules, etcd, containerd and the rest from Debian's
# packages, which are unpacked and not installed. Takes about a quarter of an hour on two idle cores, the second time nothing.
set -eu
cd "$(dirname "$0")/../.."
HERE=$PWD/tests/kubernetes
TOOLS=$PWD/.tools/kubernetes
KUBERNETES=v1.37.2
COREDNS=v1.15.0
mkdir -p "$TOOLS/bin"
go=${GO:-$(command -v go || echo /usr/local/go/bin/go)}
export CGO_ENABLED=0

say() { printf '%s\n' "$*" >&2; }

# The modules that Kubernetes keeps in its own repository are published under the same version with a 0 in front.
kubernetes_module() {
    rm -rf "$TOOLS/module" && mkdir -p "$TOOLS/module" && cd "$TOOLS/module"
    theirs=$("$go" mod download -json "k8s.io/kubernetes@$KUBERNETES" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
    printf 'module watercooler.invalid/kubernetes\n\ngo %s\n\ngodebug %s\n' "$(awk '$1 == "go" {print $2}' "$theirs")" "$(awk '$1 == "godebug" {print $2; exit}' "$theirs")" > go.mod
    grep -q '^godebug .' go.mod || sed -i '/^godebug/d' go.mod
    "$go" mod edit -require="k8s.io/kubernetes@$KUBERNETES"
    awk '/=> \.\/staging/ {print $1 == "replace" ? $2 : $1}' "$theirs" | while read -r name; do
        "$go" mod edit -replace="$name=$name@v0.${KUBERNETES#v1.}"
    done
    set --
    for each in apiserver controller-manager scheduler let -proxy ctl; do
        case $each in let) name=kubelet ;; ctl) name=kubectl ;; -proxy) name=kube-proxy ;; *) name=kube-$each ;; esac
        set -- "$@" "k8s.io/kubernetes/cmd/$name@$KUBERNETES"
    done
    "$go" get -tool "$@"
}

flags="-s -w"
for package in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
    flags="$flags -X $package.gitVersion=$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=$(echo "$KUBERNETES" | cut -d. -f2) -X $package.gitTreeState=clean"
done
for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    [ -x "$TOOLS/bin/$name" ] && continue
    [ -f "$TOOLS/module/go.sum" ] || { say "Fetching Kubernetes $KUBERNETES"; (kubernetes_module) > "$TOOLS/build.log" 2>&1; }
    say "Building $name"
    (cd "$TOOLS/module" && "$go" build -trimpath -ldflags "$flags" -o "$TOOLS/bin/$name" "k8s.io/kubernetes/cmd/$name") >> "$TOOLS/build.log" 2>&1
done
if [ ! -x "$TOOLS/bin/coredns" ]; then
    say "Building coredns"
    rm -rf "$TOOLS/coredns" && mkdir -p "$TOOLS/coredns"
    printf 'module watercooler.invalid/coredns\n\ngo 1.26.0\n' > "$TOOLS/coredns/go.mod"
    (cd "$TOOLS/coredns" && "$go" get -tool "github.com/coredns/coredns@$COREDNS" && "$go" build -trimpath -ldflags "-s -w" -o "$TOOLS/bin/coredns" github.com/coredns/coredns) >> "$TOOLS/build.log" 2>&1
fi
if [ ! -x "$TOOLS/root/usr/bin/containerd" ]; then
    say "Unpacking containerd, etcd and what they call"
    rm -rf "$TOOLS/packages" && mkdir -p "$TOOLS/packages"
    (cd "$TOOLS/packages" && apt-get -qq download etcd-server containerd runc containernetworking-plugins iptables conntrack socat libxtables12 \
        libnetfilter-conntrack3 libnfnetlink0 libmnl0 libnftnl11 libip4tc2 libip6tc2 > /dev/null 2>&1)
    for package in "$TOOLS"/packages/*.deb; do dpkg -x "$package" "$TOOLS/root"; done
fi
# What holds a pod together does nothing: it waits, and takes in the children nobody waits for.
[ -x "$TOOLS/pause" ] || cc -static -O2 -o "$TOOLS/pause" "$HERE/pause.c"
