"""A Kubernetes of one node on this machine: every process in a network namespace of its own, known and ended by its id, in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools/kubernetes"
# Addresses nobody has (RFC 5737, and private ones inside the namespace).
ADDRESS, PODS, SERVICES, DNS = "192.0.2.10", "10.244.100", "10.96.0.0/16", "192.0.2.10"
# What the kubelet changes on the whole machine; it is put back at the end.
SYSCTLS = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
PAUSE = "local/pause:1"


class Problem(Exception):
    """Something did not come about."""


def wait(what: str, done: Callable[[], Any], seconds: float = 120) -> Any:
    """Ask until it is so. Raises Problem when it is not in time."""
    until = time.monotonic() + seconds
    beat = threading.Event()
    while True:
        with contextlib.suppress(subprocess.SubprocessError, OSError, Problem):
            if found := done():
                return found
        if time.monotonic() > until:
            raise Problem(f"not within {seconds:g} s: {what}")
        beat.wait(0.3)


def _pod_spaces() -> set[str]:
    """The network namespaces of pods that are there."""
    return {path.name for path in Path("/run/netns").glob("cni-*")}


class Node:
    """etcd, the control plane, containerd, kubelet, kube-proxy and CoreDNS. Needs root; refuses a namespace that is there already."""

    def __init__(self, folder: Path, namespace: str = "watercooler-test") -> None:
        """Nothing runs before `up`."""
        self.folder = folder
        self.namespace = namespace
        self.processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.kubeconfig = folder / "kubeconfig"
        self._sysctls: dict[str, str] = {}
        self._spaces_before: set[str] = set()
        tables = folder / "iptables"
        bin_, sbin = TOOLS / "root/usr/bin", TOOLS / "root/usr/sbin"
        self.environment = {**os.environ, "PATH": f"{bin_}:{sbin}:{tables}:{os.environ['PATH']}", "KUBECONFIG": str(self.kubeconfig)}

    # --- commands ---

    def inside(self, *command: str | Path) -> list[str]:
        """A command line that runs in the namespace."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *map(str, command)]

    def run(self, *command: str | Path, seconds: float = 120, check: bool = True, stdin: str | None = None) -> str:
        """Run in the namespace; answers what it says. Raises Problem with what it says where it fails."""
        done = subprocess.run(
            self.inside(*command), capture_output=True, text=True, timeout=seconds, env=self.environment, input=stdin, check=False
        )
        if check and done.returncode:
            raise Problem(f"{' '.join(map(str, command))[:300]}: {(done.stderr or done.stdout)[-4000:]}")
        return done.stdout

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl as the administrator."""
        return self.run(TOOLS / "bin/kubectl", *arguments, **options)

    def get(self, *arguments: str) -> Any:
        """What kubectl knows, as data."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def start(self, name: str, *command: str | Path, environment: dict[str, str] | None = None) -> None:
        """Run in the background until `down`; what it says goes to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.inside(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**self.environment, **(environment or {})},
            )
        self.processes.append((name, process))

    # --- its life ---

    def up(self, images: list[Path]) -> None:
        """Start everything, import the images, and wait until the node is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if Path(f"/run/netns/{self.namespace}").exists():
            raise Problem(
                f"a network namespace {self.namespace} is there already: another run, or what one left (`ip netns del {self.namespace}`)"
            )
        self._spaces_before = _pod_spaces()
        for name in SYSCTLS:
            self._sysctls[name] = Path("/proc/sys", *name.split(".")).read_text("ascii").strip()
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        for line in (
            "link set lo up",
            "link add node0 type bridge",
            f"addr add {ADDRESS}/24 dev node0",
            "link set node0 up",
            "route add default dev node0",
        ):
            self.run("ip", *line.split())
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._certificates()
        self._files()
        self._control_plane()
        self._runtime(images)
        wait("the node is ready", self._ready, 180)

    def _ready(self) -> bool:
        conditions = self.get("node", "real-0")["status"]["conditions"]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def down(self) -> None:
        """End every process that was started here, containers included, and leave the machine as it was."""
        order = {"kubelet": 0, "proxy": 0, "coredns": 0, "containerd": 9, "etcd": 8, "apiserver": 7}
        containers_ended = False
        for name, process in sorted(self.processes, key=lambda each: order.get(each[0], 3)):
            if order.get(name, 3) > 0 and not containers_ended:
                containers_ended = True
                self._end_containers()
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)
        self.processes.clear()
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text("utf-8").splitlines() if f" {self.folder}/" in line]
        for mount in sorted(mounts, reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        for space in [self.namespace, *sorted(_pod_spaces() - self._spaces_before)]:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
        for base in Path("/sys/fs/cgroup").glob("*/kubepods"):
            for folder, _, _ in sorted(os.walk(base), reverse=True):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        for name, value in self._sysctls.items():
            with contextlib.suppress(OSError):
                Path("/proc/sys", *name.split(".")).write_text(value, "ascii")
        for name in ("containerd", "kubelet", "etcd", "addresses"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _ctr(self, *arguments: str, check: bool = True) -> str:
        return self.run(TOOLS / "root/usr/bin/ctr", "-a", self.folder / "containerd/socket", "-n", "k8s.io", *arguments, check=check)

    def _end_containers(self) -> None:
        with contextlib.suppress(Problem, subprocess.SubprocessError):
            for task in self._ctr("tasks", "ls", "-q").split():
                self._ctr("tasks", "kill", "-s", "KILL", task, check=False)
            wait("containers end", lambda: not [each for each in self._ctr("tasks", "ls").splitlines() if "RUNNING" in each], 30)
            for container in self._ctr("containers", "ls", "-q").split():
                self._ctr("tasks", "rm", "-f", container, check=False)
                self._ctr("containers", "rm", container, check=False)

    # --- its parts ---

    def _certificates(self) -> None:
        keys = self.folder / "pki"
        keys.mkdir(exist_ok=True)

        def openssl(*arguments: str) -> None:
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=keys)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test")
        names = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
        extensions = {
            "api": f"subjectAltName=IP:127.0.0.1,IP:{ADDRESS},IP:10.96.0.1,{names}\nextendedKeyUsage=serverAuth\n",
            "client": "extendedKeyUsage=clientAuth\n",
        }
        for name, subject in (("api", "/CN=kube-apiserver"), ("client", "/O=system:masters/CN=kube-apiserver-kubelet-client")):
            (keys / f"{name}.ext").write_text(extensions[name], "ascii")
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
            openssl(
                "x509",
                "-req",
                "-in",
                f"{name}.csr",
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                f"{name}.ext",
                "-out",
                f"{name}.crt",
            )
        openssl("genrsa", "-out", "accounts.key", "2048")
        openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        token = os.urandom(16).hex()
        (keys / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n', "ascii")
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [
                        {"name": "test", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority": str(keys / "ca.crt")}}
                    ],
                    "users": [{"name": "admin", "user": {"token": token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
                }
            ),
            "utf-8",
        )

    def _files(self) -> None:
        root, folder = TOOLS / "root", self.folder
        for name in ("containerd", "addresses", "network", "volumes", "iptables"):
            (folder / name).mkdir(exist_ok=True)
        for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
            link = folder / "iptables" / name
            link.unlink(missing_ok=True)
            link.symlink_to(root / "usr/sbin/xtables-legacy-multi")
        (folder / "containerd/config.toml").write_text(
            f"""\
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{folder}/containerd/socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{root}/usr/lib/cni"
    conf_dir = "{folder}/network"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{root}/usr/sbin/runc"
""",
            "utf-8",
        )
        bridge = {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "isDefaultGateway": True,
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": f"{PODS}.0/24"}]], "dataDir": str(folder / "addresses")},
        }
        (folder / "network/10-pods.conflist").write_text(
            json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "loopback"}]}), "utf-8"
        )
        (folder / "kubelet.yaml").write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "kubelet.config.k8s.io/v1beta1",
                    "kind": "KubeletConfiguration",
                    "authentication": {
                        "anonymous": {"enabled": False},
                        "webhook": {"enabled": True},
                        "x509": {"clientCAFile": str(folder / "pki/ca.crt")},
                    },
                    "authorization": {"mode": "Webhook"},
                    "cgroupDriver": "cgroupfs",
                    "failCgroupV1": False,
                    "failSwapOn": False,
                    "enforceNodeAllocatable": [],
                    "containerRuntimeEndpoint": f"unix://{folder}/containerd/socket",
                    "clusterDNS": [DNS],
                    "clusterDomain": "cluster.local",
                    "resolvConf": "",
                    "volumePluginDir": str(folder / "volumes"),
                    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
                    "imageGCHighThresholdPercent": 99,
                    "imageGCLowThresholdPercent": 98,
                }
            ),
            "utf-8",
        )
        (folder / "proxy.yaml").write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                    "kind": "KubeProxyConfiguration",
                    "mode": "iptables",
                    "clientConnection": {"kubeconfig": str(self.kubeconfig)},
                    "hostnameOverride": "real-0",
                    "clusterCIDR": "10.244.0.0/16",
                    "conntrack": {"maxPerCore": 0},
                }
            ),
            "utf-8",
        )
        (folder / "Corefile").write_text(
            f".:53 {{\n bind {DNS}\n errors\n kubernetes cluster.local {{\n  kubeconfig {self.kubeconfig} test\n }}\n cache 5\n}}\n",
            "utf-8",
        )

    def _control_plane(self) -> None:
        keys, config = self.folder / "pki", self.kubeconfig
        self.start(
            "etcd",
            TOOLS / "root/usr/bin/etcd",
            "--data-dir",
            self.folder / "etcd",
            "--unsafe-no-fsync",
            "--listen-client-urls",
            "http://127.0.0.1:2379",
            "--advertise-client-urls",
            "http://127.0.0.1:2379",
            "--listen-peer-urls",
            "http://127.0.0.1:2380",
        )
        self.start(
            "apiserver",
            TOOLS / "bin/kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            "--secure-port=6443",
            "--bind-address=0.0.0.0",
            f"--advertise-address={ADDRESS}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--tls-cert-file={keys}/api.crt",
            f"--tls-private-key-file={keys}/api.key",
            f"--client-ca-file={keys}/ca.crt",
            f"--kubelet-client-certificate={keys}/client.crt",
            f"--kubelet-client-key={keys}/client.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={keys}/accounts.pub",
            f"--service-account-signing-key-file={keys}/accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={keys}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
        )
        wait("the API server is ready", lambda: self.kubectl("get", "--raw", "/readyz") == "ok", 180)
        shared = [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--leader-elect=false",
        ]
        self.start(
            "controllers",
            TOOLS / "bin/kube-controller-manager",
            *shared,
            f"--service-account-private-key-file={keys}/accounts.key",
            f"--root-ca-file={keys}/ca.crt",
            f"--cluster-signing-cert-file={keys}/ca.crt",
            f"--cluster-signing-key-file={keys}/ca.key",
            "--use-service-account-credentials",
            "--allocate-node-cidrs=true",
            "--cluster-cidr=10.244.0.0/16",
            "--bind-address=127.0.0.1",
        )
        self.start("scheduler", TOOLS / "bin/kube-scheduler", *shared, "--bind-address=127.0.0.1")

    def _runtime(self, images: list[Path]) -> None:
        libraries = TOOLS / "root/usr/lib/x86_64-linux-gnu"
        self.start("containerd", TOOLS / "root/usr/bin/containerd", "-c", self.folder / "containerd/config.toml")
        wait("containerd answers", lambda: self._ctr("version"), 60)
        for image in images:
            self.run(
                TOOLS / "root/usr/bin/ctr", "-a", self.folder / "containerd/socket", "-n", "k8s.io", "images", "import", image, seconds=300
            )
        self.start(
            "kubelet",
            TOOLS / "bin/kubelet",
            f"--config={self.folder}/kubelet.yaml",
            f"--kubeconfig={self.kubeconfig}",
            f"--root-dir={self.folder}/kubelet",
            "--hostname-override=real-0",
            f"--node-ip={ADDRESS}",
        )
        self.start(
            "proxy",
            TOOLS / "bin/kube-proxy",
            "--config",
            self.folder / "proxy.yaml",
            environment={"LD_LIBRARY_PATH": str(libraries), "XTABLES_LIBDIR": str(libraries / "xtables")},
        )
        self.start("coredns", TOOLS / "bin/coredns", "-conf", self.folder / "Corefile")


@contextlib.contextmanager
def node(folder: Path, images: list[Path]) -> Iterator[Node]:
    """A node that is up, and down afterwards whatever happens."""
    found = Node(folder)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        found.up(images)
        yield found
    finally:
        found.down()
