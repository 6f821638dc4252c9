# shellcheck shell=bash disable=SC2154,SC2034
# Containers of a cluster's nodes: containerd, the images and a registry. Sourced by conformance/cluster.

runtime_socket() { echo "$dir/node$1/containerd.sock"; } # N

# Builds what a node's runtime needs, and lists the archives it imports.
prepare_runtime() {
  local list
  "$root/conformance/build" kubectl containerd imagetool >/dev/null
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
  launch_on "$1" "containerd$1" "$bin/containerd" --config "$folder/containerd.toml"
  await "containerd$1" "$bin/ctr" -a "$socket" version
  import_images "$socket" >"$dir/log/images$1.log" 2>&1 &
  imports+=($!)
}

import_images() { # SOCKET
  local archive
  for archive in "${archives[@]}"; do
    "$bin/ctr" -a "$1" -n k8s.io images import "$archive"
  done
}

wait_for_images() {
  local import
  await registry run_on 1 curl -fs "http://$(registry_address)/v2/"
  for import in "${imports[@]}"; do
    wait "$import" || die "a node did not take its images; see $dir/log/images*.log"
  done
}

registry_address() { echo "$(node_ip 1):5000"; }

# Every image name leads to a registry on node 1, so that a pull never leaves the machine. It holds the images of the two
# tests that pull although the image is there: kitten for image volumes, agnhost for mTLS between pods.
serve_registry() {
  local address
  address=$(registry_address)
  mkdir -p "$dir/registries/_default" "$dir/registry"
  cat >"$dir/registries/_default/hosts.toml" <<T
server = "http://$address"
[host."http://$address"]
  capabilities = ["pull", "resolve"]
T
  launch_on 1 registry "$bin/imagetool" -cache "$(cache_dir)" -serve "$address" -blobs "$dir/registry" kitten agnhost
}
