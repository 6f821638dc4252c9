# shellcheck shell=bash disable=SC2154,SC2034
# The peer upstream: the control plane of hack/upstream, upstream's kubelet, kube-proxy and CoreDNS. Sourced by
# conformance/cluster.

programs_upstream() {
  "$root/conformance/build" kubectl etcd kube-apiserver kube-controller-manager kube-scheduler >/dev/null
  [[ $nodes == 0 ]] || programs_upstream_node
  [[ $nodes == 0 ]] || prepare_runtime
}

programs_upstream_node() { "$root/conformance/build" kubelet kube-proxy coredns >/dev/null; }

start_upstream() {
  local n plane=("$root/hack/upstream" up "$dir/upstream" --port "$port" --kcm --scheduler)
  if [[ $nodes == 0 ]]; then
    "${plane[@]}" >/dev/null
  else
    way_into 1
    # Pods' addresses are not reached through the Services' in this network: webhooks are called at their endpoints.
    "${in_scope[@]}" "${way[@]}" "${plane[@]}" --address "$(node_ip 1)" --cluster-cidr 10.244.0.0/16 \
      -- --enable-aggregator-routing=true >/dev/null
  fi
  cp "$dir/upstream/admin.kubeconfig" "$dir"
  [[ $nodes == 0 ]] || start_coredns
  for ((n = 1; n <= nodes; n++)); do
    start_kubelet "$n"
    start_kube_proxy "$n"
  done
}

start_coredns() {
  cat >"$dir/Corefile" <<T
.:53 {
    bind $(node_ip 1)
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig $dir/admin.kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    cache 5
}
T
  launch_on 1 coredns "$bin/coredns" -conf "$dir/Corefile"
}

identity() { "$root/hack/upstream" identity "$dir/upstream" "$@"; } # NAME SUBJECT NAMES

start_kubelet() { # N
  local node=node$1
  identity "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$(node_ip "$1")" >"$dir/$node/kubelet.kubeconfig"
  run_kubelet "$1" "$dir/$node/kubelet.kubeconfig" "$dir/upstream/pki/ca.crt" "$dir/upstream/pki/$node"
}

start_kube_proxy() { # N
  identity kube-proxy /CN=system:kube-proxy >"$dir/node$1/kube-proxy.kubeconfig"
  run_kube_proxy "$1" "$dir/node$1/kube-proxy.kubeconfig"
}

# Upstream's kubelet, for whichever API server its kubeconfig names. PAIR is its serving certificate without .crt and .key.
run_kubelet() { # N KUBECONFIG CA PAIR
  local node=node$1 folder=$dir/node$1 cidr
  cat >"$folder/kubelet.yaml" <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $3}}
authorization: {mode: Webhook}
tlsCertFile: $4.crt
tlsPrivateKeyFile: $4.key
clusterDNS: [$(node_ip 1)]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$(runtime_socket "$1")
cgroupDriver: cgroupfs
cgroupRoot: /$scope/$node
failCgroupV1: false
failSwapOn: false
$(kubelet_patience)
T
  launch_on "$1" "kubelet$1" "$bin/kubelet" --config="$folder/kubelet.yaml" --kubeconfig="$2" \
    --hostname-override="$node" --node-ip="$(node_ip "$1")" --cert-dir="$folder/pki"
  cidr=$(pod_cidr "$1")
  write_pod_network "$1" "$cidr"
}

run_kube_proxy() { # N KUBECONFIG
  local folder=$dir/node$1
  cat >"$folder/kube-proxy.yaml" <<T
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node$1
clientConnection: {kubeconfig: $2}
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
T
  launch_on "$1" "kube-proxy$1" "$bin/kube-proxy" --config="$folder/kube-proxy.yaml"
}
