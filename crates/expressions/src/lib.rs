//! CEL as Kubernetes speaks it: typed checking, Kubernetes' libraries, cost limits.
