# shellcheck shell=bash disable=SC2154,SC2034
# Nodes that kwok plays: objects of the API whose pods are Running in status only. Sourced by conformance/cluster.

# The lives that kwok gives nodes and pods; a pod that is to end by itself is none of them.
KWOK_STAGES=(
  node/fast/node-initialize
  node/heartbeat-with-lease/node-heartbeat-with-lease
  pod/fast/pod-ready
  pod/fast/pod-delete
)

start_kwok() {
  local n stages module stage
  "$root/conformance/build" kwok >/dev/null
  module=$(cd "$root/conformance/tools/kwok" && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
  stages=()
  for stage in "${KWOK_STAGES[@]}"; do stages+=(--config "$module/kustomize/stage/$stage.yaml"); done
  way=()
  local kwok_command=("$bin/kwok" --kubeconfig "$dir/admin.kubeconfig" "${stages[@]}"
    --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --node-lease-duration-seconds=40)
  if [[ $nodes == 0 ]]; then launch kwok "${kwok_command[@]}"; else launch_on 1 kwok "${kwok_command[@]}"; fi
  for ((n = 1; n <= kwok; n++)); do
    kwok_node "$n"
  done | kube apply -f - >/dev/null
  kube wait --for=condition=Ready nodes -l type=kwok --timeout=60s >/dev/null \
    || die "kwok's nodes are not Ready after a minute; its log is $dir/log/kwok.log"
}

kwok_node() { # N
  cat <<T
---
apiVersion: v1
kind: Node
metadata:
  name: kwok-$1
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {type: kwok, kubernetes.io/hostname: kwok-$1, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
status:
  addresses: [{type: InternalIP, address: 10.98.0.$1}, {type: Hostname, address: kwok-$1}]
  allocatable: {cpu: "8", memory: 32Gi, pods: "110", ephemeral-storage: 100Gi}
  capacity: {cpu: "8", memory: 32Gi, pods: "110", ephemeral-storage: 100Gi}
T
}
