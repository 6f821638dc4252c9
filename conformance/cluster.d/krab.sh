# shellcheck shell=bash disable=SC2154,SC2034
# The peer krab: node 1 is `krab server`. Sourced by conformance/cluster.

programs_krab() {
  local target
  "$root/conformance/build" kubectl >/dev/null
  [[ $nodes == 0 ]] || prepare_runtime
  [[ $nodes -le 1 ]] || die "krab cannot join a second node yet: give --nodes 1"
  [[ -z $krab ]] || return 0
  command -v cargo >/dev/null || die "cargo is not installed; give a krab with --krab PATH"
  say "building krab ($profile)"
  (cd "$root" && cargo build --locked --quiet --profile "$profile" -p krab) || die "krab does not build"
  target=$(cd "$root" && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  krab=$target/${profile/#dev/debug}/krab
}

start_krab() {
  local server=("$krab" server --data-dir "$dir/krab" --write-kubeconfig "$dir/admin.kubeconfig" --secure-port "$port" --v 2)
  if [[ $nodes == 0 ]]; then
    launch krab env HOME="$dir/home" "${server[@]}" --bind-address 127.0.0.1 --disable-node
  else
    launch_on 1 krab "${server[@]}" --bind-address "$(node_ip 1)" --node-name node1 \
      --container-runtime-endpoint "unix://$(runtime_socket 1)" \
      --cgroup-root "/$scope/node1" --cni-conf-dir "$dir/node1/cni"
  fi
  await krab kube get --raw /readyz
  # Without it no pod is admitted.
  await krab kube get serviceaccount default
}
