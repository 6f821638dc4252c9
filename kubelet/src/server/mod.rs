//! The kubelet's HTTPS API on port 10250. NOTE TO THE KUBELET OWNER: the lead is writing this folder and `crates/spdy`
//! (exec, attach, port-forward, logs serving, authentication). Do not write it; give it `kubelet::logs` (reading CRI log
//! files: follow, tail, since, timestamps, limitBytes) and a way from (namespace, pod, uid, container) to the CRI ids.
