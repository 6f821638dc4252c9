# shellcheck shell=bash
# What keeps a node apart from the machine it runs on: its cgroups and its mounts. Sourced by hack/arena and
# conformance/cluster, never run.

# cgroup_trees: the folders below which cgroups are made: a single one with version 2, one a controller with version 1.
cgroup_trees() {
  local tree
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
    return
  fi
  for tree in /sys/fs/cgroup/*; do
    [ -L "$tree" ] || [ ! -d "$tree" ] || echo "$tree"
  done
}

# make_cgroup NAME: a cgroup in every tree, with all processors and controllers, so that pods' cgroups can be made below it.
make_cgroup() {
  local tree setting
  for tree in $(cgroup_trees); do
    mkdir -p "$tree/$1"
    for setting in cpuset.cpus cpuset.mems; do
      [ ! -f "$tree/$setting" ] || cat "$tree/$(dirname "$1")/$setting" >"$tree/$1/$setting"
    done
    if [ -f "$tree/$1/cgroup.subtree_control" ] && [ "$tree" = /sys/fs/cgroup ]; then
      sed 's/[^ ]*/+&/g' "$tree/$1/cgroup.controllers" >"$tree/$1/cgroup.subtree_control"
    fi
  done
}

# cgroup_processes NAME: the processes in a cgroup and the cgroups below it, in every tree (0 stands for one that cannot be
# seen from here).
cgroup_processes() {
  local tree
  for tree in $(cgroup_trees); do
    [ ! -d "$tree/$1" ] || find "$tree/$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  done | sort -un | sed '/^0$/d'
}

# with_children PID...: these processes and all that descend from them.
with_children() {
  ps -e -o pid=,ppid= | awk -v roots="$*" '
    BEGIN { n = split(roots, r); for (i = 1; i <= n; i++) ours[r[i]] }
    { parent[$1] = $2 }
    END {
      do { more = 0; for (p in parent) if (!(p in ours) && parent[p] in ours) { ours[p]; more = 1 } } while (more)
      for (p in ours) print p
    }'
}

# end_cgroup NAME: kills what is in the cgroup or was started by it, and removes it from every tree. Fails when something of
# it stays.
end_cgroup() {
  local tree _ left
  for _ in {1..25}; do
    # Shims put containers elsewhere when asked to, but stay their parents: all at once, before any is orphaned.
    # shellcheck disable=SC2046
    kill -KILL $(with_children $(cgroup_processes "$1")) 2>/dev/null || true
    left=
    for tree in $(cgroup_trees); do
      [ ! -d "$tree/$1" ] || find "$tree/$1" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
    done
    [ -n "$left" ] || return 0
    # A process that was just killed leaves its cgroup a moment later.
    sleep 0.2
  done
  return 1
}

# node_mounts DIR: in a mount namespace of its own, the folders that a node has at fixed places lie in DIR.
node_mounts() {
  mkdir -p "$1"/{cni-state,run-netns,run-containerd,containers,pods,kubelet} \
    /var/lib/cni /run/netns /run/containerd /var/log/containers /var/log/pods /var/lib/kubelet
  mount --bind "$1/cni-state" /var/lib/cni
  mount --bind "$1/run-containerd" /run/containerd
  mount --bind "$1/run-netns" /run/netns
  mount --bind "$1/containers" /var/log/containers
  mount --bind "$1/pods" /var/log/pods
  mount --bind "$1/kubelet" /var/lib/kubelet
  mount --make-rshared /var/lib/kubelet
  mount --make-rshared /run/netns
}
