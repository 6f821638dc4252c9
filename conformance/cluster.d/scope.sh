# shellcheck shell=bash disable=SC2154,SC2034
# The namespaces and cgroups of a cluster. Sourced by conformance/cluster.
#
# A node is an anchor: a sleeping process whose network and mount namespaces everything of the node joins. Nothing is made in
# the machine's own namespaces, so that when the processes are gone the kernel has removed links, routes and mounts too.
# All processes are in one cgroup named after the folder, by which a cluster is found again whatever was lost.
#
# Network: node N is 10.99.0.N. The nodes hang on a bridge in the namespace of node 1; nothing leads out of it. The pods of a
# node are behind its address, by a static route on the others.

name_scope() { scope=krab-cluster-$(sha256sum <<<"$dir" | cut -c1-8); }

scope_exists() { [[ -n $(cgroup_processes "$scope") ]]; }

make_scope() {
  local n
  make_cgroup "$scope"
  for ((n = 1; n <= nodes; n++)); do make_cgroup "$scope/node$n"; done
  # With version 1 one tree is enough to find processes again.
  local daemons=/sys/fs/cgroup/$scope/daemons
  [[ ! -d /sys/fs/cgroup/pids ]] || daemons=/sys/fs/cgroup/pids/$scope/daemons
  mkdir -p "$daemons"
  # The command line that runs what follows it as part of the cluster.
  # shellcheck disable=SC2016
  in_scope=(bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$daemons")
}

node_ip() { echo "10.99.0.$1"; }

# Sets `way`, the command line that runs what follows it in the network and mounts of node N.
way_into() { # N
  local anchor
  anchor=$(pid_of "anchor$1") || die "node $1 of $dir does not run; conformance/cluster up starts the cluster again"
  way=(nsenter --target "$anchor" --net --mount --wd="$PWD" --)
}

# Starts a daemon on a node.
launch_on() { # N NAME COMMAND...
  way_into "$1"
  launch "$2" "${in_scope[@]}" "${way[@]}" env HOME="$dir/home" PATH="$bin:$PATH" "${@:3}"
}

# Runs a command on a node, or on the machine where the cluster has none.
run_on() { # N COMMAND...
  way=()
  [[ $nodes == 0 ]] || way_into "$1"
  "${way[@]}" "${@:2}"
}

kube() { run_on 1 "$bin/kubectl" --kubeconfig "$dir/admin.kubeconfig" "$@"; }

# The namespaces, links and mounts of node N.
make_node() { # N
  local n=$1 folder=$dir/node$1 ip anchor link=bridge0
  ip=$(node_ip "$n")
  mkdir -p "$folder"
  launch "anchor$n" "${in_scope[@]}" unshare --net --mount --propagation private sleep infinity
  anchor=$(pid_of "anchor$n")
  await "anchor$n" grep -qx sleep "/proc/$anchor/comm"
  if [[ $n == 1 ]]; then
    run_on 1 ip link add bridge0 type bridge
  else
    link=eth0
    run_on 1 ip link add "node$n" type veth peer name eth0 netns "$anchor"
    run_on 1 ip link set "node$n" master bridge0 up
    # Back out where it came in: a node port of node 1 that a pod of node N asks for and a pod of node N answers.
    run_on 1 ip link set "node$n" type bridge_slave hairpin on
  fi
  # shellcheck disable=SC2016
  run_on "$n" bash -ec '
    ip link set lo up
    ip addr add "$0/24" dev "$1"
    ip link set "$1" up
    # Addresses of Services are translated on their way out: there must be a way.
    ip route add default via 10.99.0.254
    sysctl -qw net.ipv4.ip_forward=1' "$ip" "$link"
  # Names outside the cluster are refused at once instead of waited for.
  echo "nameserver $(node_ip 1)" >"$folder/resolv.conf"
  # shellcheck disable=SC2016
  run_on "$n" bash -ec '. "$0"; node_mounts "$1"; mount --bind "$1/resolv.conf" /etc/resolv.conf' \
    "$root/hack/lib/scope.sh" "$folder"
}

# Once every node is registered: the ways to its pods, and Ready.
finish_nodes() {
  local n m cidr
  for ((n = 1; n <= nodes; n++)); do
    cidr=$(pod_cidr "$n")
    for ((m = 1; m <= nodes; m++)); do
      [[ $m == "$n" ]] || run_on "$m" ip route replace "$cidr" via "$(node_ip "$n")"
    done
  done
  for ((n = 1; n <= nodes; n++)); do
    kube wait --for=condition=Ready "node/node$n" --timeout=60s >/dev/null \
      || die "node$n is not Ready after a minute; the logs are in $dir/log"
  done
}

# The range of addresses that the control plane gave a node.
pod_cidr() { # N
  local cidr _
  for _ in {1..300}; do
    cidr=$(kube get node "node$1" -o jsonpath='{.spec.podCIDR}' 2>/dev/null) || cidr=
    [[ -z $cidr ]] || { echo "$cidr"; return; }
    sleep 0.2
  done
  die "node$1 has not registered or got no podCIDR within a minute; the logs are in $dir/log"
}

# Ends everything and removes it. Fails when something stays.
tear_down() {
  local daemon
  # What has a node goes at once: nothing it wrote is kept.
  end_cgroup "$scope" || true
  for daemon in kwok krab; do stop "$daemon"; done
  [[ ! -d $dir/upstream/run ]] || "$root/hack/upstream" down "$dir/upstream"
  if [[ -n ${keep_logs:-} && -d $dir/log ]]; then
    [[ ! -d $dir/upstream/log ]] || cp "$dir"/upstream/log/*.log "$dir/log"
    find "${dir:?}" -mindepth 1 -maxdepth 1 ! -name log ! -name cluster -exec rm -rf {} +
    say "the logs are in $dir/log"
  else
    find "${dir:?}" -mindepth 1 -delete
  fi
  check_nothing_left
}

check_nothing_left() {
  local left=() tree path process
  for tree in $(cgroup_trees); do
    [[ ! -d $tree/$scope ]] || left+=("the cgroup $tree/$scope")
  done
  while read -r path; do left+=("the mount $path"); done \
    < <(awk -v folder="$dir/" 'index($5, folder) == 1 {print $5}' /proc/self/mountinfo)
  while read -r path; do left+=("the loop device of $path"); done \
    < <(cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -F "$dir/" || true)
  for process in /proc/[0-9]*; do
    [[ $(readlink "$process/root" 2>/dev/null) != "$dir"/* ]] || left+=("the process ${process#/proc/}")
  done
  [[ ${#left[@]} == 0 ]] || { printf 'left behind: %s\n' "${left[@]}" >&2; return 1; }
}
