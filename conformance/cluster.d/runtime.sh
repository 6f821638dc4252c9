# shellcheck shell=bash disable=SC2154,SC2034
# Containers of a cluster's nodes: containerd, the images and a registry. Sourced by conformance/cluster.

runtime_socket() { echo "$dir/node$1/containerd.sock"; } # N

# Builds what a node's runtime needs, and lists the archives it imports.
prepare_runtime() {
  local list
  [[ $containerd != "$bin"/* ]] || "$root/conformance/build" containerd >/dev/null
  # shellcheck disable=SC2086
  "$root/conformance/images" $registry >/dev/null
  # shellcheck disable=SC2086
  list=$("$root/conformance/images" $images)
  mapfile -t archives < <(awk '{print $2}' <<<"$list")
}

# Starts the containerd of node N; it imports the images meanwhile.
start_containerd() { # N
  local folder=$dir/node$1 socket
  socket=$(runtime_socket "$1")
  mkdir -p "$folder"/{cni,containerd,state}
  containerd_config "$folder/containerd" "$folder/state" "$socket" "$folder/cni" "$dir/registries" >"$folder/containerd.toml"
  # The shim is the one beside it.
  launch_on "$1" "containerd$1" env PATH="${containerd%/*}:$PATH" "$containerd" --config "$folder/containerd.toml"
  await "containerd$1" "${containerd%/*}/ctr" -a "$socket" version
  # shellcheck disable=SC2016
  "${in_scope[@]}" bash -ec 'for archive in "${@:2}"; do "$0" -a "$1" -n k8s.io images import "$archive"; done' \
    "${containerd%/*}/ctr" "$socket" "${archives[@]}" >"$dir/log/images$1.log" 2>&1 &
  imports+=($!)
}

wait_for_images() {
  local import
  await registry run_on 1 curl -fs "http://$(registry_address)/v2/"
  for import in "${imports[@]}"; do
    wait "$import" || die "a node did not take its images; see $dir/log/images*.log"
  done
}

registry_address() { echo "$(node_ip 1):5000"; }

# Every image name leads to a registry on node 1, so that a pull never leaves the machine.
serve_registry() {
  local address
  address=$(registry_address)
  mkdir -p "$dir/registries/_default" "$dir/registry"
  cat >"$dir/registries/_default/hosts.toml" <<T
server = "http://$address"
[host."http://$address"]
  capabilities = ["pull", "resolve"]
T
  # shellcheck disable=SC2086
  launch_on 1 registry "$bin/imagetool" -cache "$(cache_dir)" -serve "$address" -blobs "$dir/registry" $registry
}

# The pod network of node N: a bridge whose pods have the addresses of CIDR.
write_pod_network() { # N CIDR
  cat >"$dir/node$1/cni/10-bridge.conflist" <<T
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$2"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
T
}

# What a kubelet's configuration says about disks, whoever it is: images that are gone cannot be had again, and how full this
# machine's disk is is none of the tests' business.
kubelet_patience() {
  cat <<'T'
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 200Mi, imagefs.available: 200Mi}
T
}

# The peer none: nodes that only run what is asked of their containerd.
programs_none() {
  [[ $nodes -gt 0 ]] || die "--peer none without nodes is nothing at all: give --nodes 1"
  prepare_runtime
}

start_none() {
  local n
  for ((n = 1; n <= nodes; n++)); do write_pod_network "$n" "10.244.$n.0/24"; done
}
