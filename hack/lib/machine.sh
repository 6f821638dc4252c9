# shellcheck shell=bash
# What hack/run and hack/test need of the machine: Debian packages and a containerd. Sourced, never run.

# say TEXT: one line on standard error, so that standard output stays the command's.
say() { printf '%s\n' "$*" >&2; }

# die TEXT: says what to do and ends.
die() { say "error: $*"; exit 1; }

# cache_dir: where tools and images that take long to build are kept between checkouts.
cache_dir() { printf '%s\n' "${KRAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/krab}"; }

# target_dir ROOT: where cargo puts what it builds of the checkout ROOT.
target_dir() { (cd "$1" && cargo metadata --format-version 1 --no-deps) | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'; }

# module_dir NAME: where the sources of one of upstream's Go modules are, fetched when they are not there.
module_dir() { (cd conformance && go mod download "$1" && go list -m -f '{{.Dir}}' "$1"); }

# The packages of a node and what each is for.
PACKAGES=(
  "containerd:runs containers"
  "runc:starts one container for containerd"
  "containernetworking-plugins:gives pods their network (CNI bridge, host-local, portmap)"
  "nftables:kube-proxy's rules"
  "conntrack:forgets connections to endpoints that are gone"
  "iproute2:network namespaces"
  "protobuf-compiler:builds the container runtime client"
)

# install_packages [NAME:REASON...]: installs what is missing of these, or of a node's, saying what and why. Needs root only if something is missing.
install_packages() {
  local row name missing=()
  [ $# -gt 0 ] || set -- "${PACKAGES[@]}"
  for row in "$@"; do
    name=${row%%:*}
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
      say "installing $name: ${row#*:}"
      missing+=("$name")
    fi
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "packages are missing (${missing[*]}): run this once as root, or install them"
  apt-get update -qq >&2 || die "apt-get update failed: check the package sources"
  # A service manager may start containerd on its own; where there is none the scripts start it.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 \
    || die "apt-get install failed: ${missing[*]}"
}

# has_sys_resource: true when this process may lower a process's OOM score, which containers and some VMs forbid.
has_sys_resource() {
  local effective
  effective=$(awk '/^CapEff:/ {print $2}' /proc/self/status)
  (( (0x$effective >> 24) & 1 ))
}

# containerd_config ROOT STATE SOCKET CNI_CONF_DIR [REGISTRIES]: a configuration on standard output, for Debian's containerd
# and for 2.x. REGISTRIES is a folder of hosts.toml files.
containerd_config() {
  local restrict=true
  if has_sys_resource; then restrict=false; fi
  cat <<CONFIG
version = 2
root = "$1"
state = "$2"
[grpc]
  address = "$3"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = $restrict
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  sandbox_image = "registry.k8s.io/pause:3.10.2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$4"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${5:-}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.test-handler]
    runtime_type = "io.containerd.runc.v2"
CONFIG
}

# wait_for_containerd SOCKET PID: until it answers; fails when the process ends first.
wait_for_containerd() {
  local _
  for _ in $(seq 100); do
    ctr -a "$1" version >/dev/null 2>&1 && return 0
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}
