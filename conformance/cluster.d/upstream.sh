# shellcheck shell=bash disable=SC2154,SC2034
# The peer upstream: the control plane of hack/upstream, upstream's kubelet, kube-proxy and CoreDNS. Sourced by
# conformance/cluster.

programs_upstream() {
  "$root/conformance/build" kubectl etcd kube-apiserver kube-controller-manager kube-scheduler >/dev/null
  [[ $nodes == 0 ]] || "$root/conformance/build" kubelet kube-proxy coredns >/dev/null
  [[ $nodes == 0 ]] || prepare_runtime
}

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
        kubeconfig $dir/admin.kubeconfig upstream
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
  local node=node$1 folder=$dir/node$1 ip cidr
  ip=$(node_ip "$1")
  identity "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$ip" >"$folder/kubelet.kubeconfig"
  cat >"$folder/kubelet.yaml" <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/upstream/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $dir/upstream/pki/$node.crt
tlsPrivateKeyFile: $dir/upstream/pki/$node.key
clusterDNS: [$(node_ip 1)]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$(runtime_socket "$1")
cgroupDriver: cgroupfs
cgroupRoot: /$scope/$node
failCgroupV1: false
failSwapOn: false
$(kubelet_patience)
T
  launch_on "$1" "kubelet$1" "$bin/kubelet" --config="$folder/kubelet.yaml" --kubeconfig="$folder/kubelet.kubeconfig" \
    --hostname-override="$node" --node-ip="$ip" --cert-dir="$folder/pki"
  cidr=$(pod_cidr "$1")
  write_pod_network "$1" "$cidr"
}

start_kube_proxy() { # N
  local folder=$dir/node$1
  identity kube-proxy /CN=system:kube-proxy >"$folder/kube-proxy.kubeconfig"
  cat >"$folder/kube-proxy.yaml" <<T
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node$1
clientConnection: {kubeconfig: $folder/kube-proxy.kubeconfig}
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
T
  launch_on "$1" "kube-proxy$1" "$bin/kube-proxy" --config="$folder/kube-proxy.yaml"
}
