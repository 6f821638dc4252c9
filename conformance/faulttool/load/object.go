package load

import (
	"strconv"
	"strings"

	"krab.dev/conformance/faulttool/history"
)

// The two kinds of object: one that is read from a cache upstream and one that others
// fight for.
const (
	ConfigMaps = "configmaps"
	Leases     = "leases"
)

// Resources are those of the load.
var Resources = []string{ConfigMaps, Leases}

// prefix of the names of our objects: a cluster puts some of its own into a namespace.
const prefix = "key-"

// object is as much of a ConfigMap, a Lease, and the Status of a deletion as we need.
type object struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data,omitempty"`
	Spec       *leaseSpec        `json:"spec,omitempty"`
	Details    *details          `json:"details,omitempty"`
}

type metadata struct {
	Name            string            `json:"name,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	UID             string            `json:"uid,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Continue        string            `json:"continue,omitempty"`
}

type leaseSpec struct {
	HolderIdentity string `json:"holderIdentity"`
}

// details of a Status: the UID of what was deleted.
type details struct {
	UID string `json:"uid"`
}

type list struct {
	Metadata metadata `json:"metadata"`
	Items    []object `json:"items"`
}

// selector is what a selecting watcher asks for.
const selector = "selected=true"

func labels(token string) map[string]string {
	return map[string]string{"selected": strconv.FormatBool(history.Selected(token))}
}

// newObject makes the body of a create or update. The padding makes it as large as real
// ones are.
func newObject(key history.Key, token string, padding int) object {
	annotations := map[string]string{"padding": strings.Repeat("x", padding)}
	o := object{Metadata: metadata{Name: key.Name, Annotations: annotations, Labels: labels(token)}}
	if key.Resource == Leases {
		o.APIVersion, o.Kind, o.Spec = "coordination.k8s.io/v1", "Lease", &leaseSpec{HolderIdentity: token}
	} else {
		o.APIVersion, o.Kind, o.Data = "v1", "ConfigMap", map[string]string{"token": token}
	}
	return o
}

// patchOf makes a merge patch that writes a token.
func patchOf(key history.Key, token string, precondition uint64) map[string]any {
	patched := metadata{Labels: labels(token)}
	if precondition > 0 {
		patched.ResourceVersion = strconv.FormatUint(precondition, 10)
	}
	if key.Resource == Leases {
		return map[string]any{"metadata": patched, "spec": leaseSpec{HolderIdentity: token}}
	}
	return map[string]any{"metadata": patched, "data": map[string]string{"token": token}}
}

// version is what the record keeps of an object.
func (o object) version() history.Version {
	version := history.Version{Revision: revision(o.Metadata.ResourceVersion), UID: o.Metadata.UID, Token: o.Data["token"]}
	if o.Spec != nil {
		version.Token = o.Spec.HolderIdentity
	}
	return version
}

func (o object) ours() bool { return strings.HasPrefix(o.Metadata.Name, prefix) }

// revision of a resourceVersion; 0 for what is none, which no check lets pass.
func revision(text string) uint64 {
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return number
}
