# shellcheck shell=bash disable=SC2154,SC2034
# The peer krab: node 1 is `krab server`, the others `krab agent`; or krab's control plane with upstream's nodes. Sourced by
# conformance/cluster.

programs_krab() {
  "$root/conformance/build" kubectl >/dev/null
  [[ $datastore != etcd ]] || "$root/conformance/build" etcd >/dev/null
  [[ $nodes == 0 ]] || prepare_runtime
  [[ $kubelet != upstream ]] || programs_upstream_node
  [[ -z $krab ]] || return 0
  command -v cargo >/dev/null || die "cargo is not installed; give a krab with --krab PATH"
  say "building krab ($profile)"
  (cd "$root" && cargo build --locked --quiet --profile "$profile" -p krab) || die "krab does not build"
  krab=$(target_dir "$root")/${profile/#dev/debug}/krab
}

start_krab() {
  local n server=("$krab" server --data-dir "$dir/krab" --write-kubeconfig "$dir/admin.kubeconfig" --secure-port "$port" --v 2)
  if [[ $datastore == etcd ]]; then
    start_etcd
    server+=(--etcd-servers "$etcd_servers")
  fi
  if [[ $nodes == 0 ]]; then
    launch krab env HOME="$dir/home" "${server[@]}" --bind-address 127.0.0.1 --disable-node
  elif [[ $kubelet == upstream ]]; then
    # Upstream's kube-proxy drops what goes to an address of this range that no Service has: nodes must not lie in it.
    launch_on 1 krab "${server[@]}" --bind-address "$(node_ip 1)" --disable-node --service-cluster-ip-range 10.96.0.0/16
  else
    krab_node_flags 1
    launch_on 1 krab "${server[@]}" --bind-address "$(node_ip 1)" "${node_flags[@]}"
  fi
  await krab kube get --raw /readyz
  # Without it no pod is admitted.
  await krab kube get serviceaccount default
  if [[ $kubelet == upstream ]]; then
    start_upstream_nodes
  else
    for ((n = 2; n <= nodes; n++)); do start_agent "$n"; done
  fi
}

# Upstream's kubelet and kube-proxy on each node, with what krab issues to whoever joins.
start_upstream_nodes() {
  local n join
  [[ $nodes == 0 ]] || start_coredns
  for ((n = 1; n <= nodes; n++)); do
    join=$dir/node$n/join
    issue_join "$n"
    run_kubelet "$n" "$join/kubelet.kubeconfig" "$join/ca.crt" "$join/kubelet"
    run_kube_proxy "$n" "$join/kube-proxy.kubeconfig"
  done
}

# Sets `etcd_servers`. One member, which fsyncs as etcd does.
start_etcd() {
  local host=127.0.0.1 peer command
  [[ $nodes == 0 ]] || host=$(node_ip 1)
  etcd_servers=http://$host:$((port + 1000)) peer=http://$host:$((port + 2000))
  command=("$bin/etcd" --name krab --data-dir "$dir/etcd" --log-level warn
    --listen-client-urls "$etcd_servers" --advertise-client-urls "$etcd_servers"
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "krab=$peer")
  if [[ $nodes == 0 ]]; then launch etcd "${command[@]}"; else launch_on 1 etcd "${command[@]}"; fi
  await etcd run_on 1 curl -fsS "$etcd_servers/health"
}

issue_join() { # N
  "$krab" certs node --data-dir "$dir/krab" --node-name "node$1" --node-ip "$(node_ip "$1")" \
    --server "https://$(node_ip 1):$port" --out "$dir/node$1/join" >/dev/null
}

start_agent() { # N
  issue_join "$1"
  krab_node_flags "$1"
  launch_on "$1" "agent$1" "$krab" agent --kubeconfig "$dir/node$1/join/kubelet.kubeconfig" --node-ip "$(node_ip "$1")" "${node_flags[@]}"
}

# Sets `node_flags`, what server and agent must be told of node N.
krab_node_flags() { # N
  cat >"$dir/node$1/kubelet.yaml" <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
$(kubelet_patience)
T
  node_flags=(--node-name "node$1" --container-runtime-endpoint "unix://$(runtime_socket "$1")"
    --cgroup-root "/$scope/node$1" --cni-conf-dir "$dir/node$1/cni" --kubelet-config "$dir/node$1/kubelet.yaml")
}
