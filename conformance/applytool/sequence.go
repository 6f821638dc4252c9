package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"net/url"
	"slices"
)

// sequence is an object and what is done to it.
type sequence struct {
	r     *rand.Rand
	kind  *kind
	name  string
	steps int

	// live is the object as upstream last showed it; nil when there is none.
	live map[string]any
	done []*request
	told []*answer
	// versions are the resourceVersions of the last answers, by server.
	versions [2]string
}

// managers write; "kubectl" is the one upstream treats in a way of its own.
var managers = []string{"a", "a", "b", "b", "c", "kubectl"}

// play sends the steps to all servers, each step when all have answered the one before, and returns what differs.
func (s *sequence) play(ctx context.Context, peers []*peer) ([]string, error) {
	var found []string
	for range s.steps {
		r := s.next()
		var answers [2]*answer
		for i, p := range peers {
			a, err := p.send(ctx, r.of(s.versions[i]))
			if err != nil {
				return nil, err
			}
			answers[i] = a
		}
		s.done = append(s.done, r)
		s.told = append(s.told, answers[0])
		left := s.normal(0, answers[0])
		if len(peers) > 1 {
			right := s.normal(1, answers[1])
			if lines := differences("", left, right); len(lines) > 0 {
				body, _ := json.Marshal(r.Body)
				found = append(found, fmt.Sprintf("  step %d: %s %s %s %s\n    %s\n", len(s.done), r.Method, r.Path, r.Type, r.Agent, body))
				found = append(found, lines...)
				// What follows would differ for the same reason.
				break
			}
		}
		s.remember(r, answers[0])
	}
	return found, s.clean(ctx, peers)
}

// remember keeps what the next steps are made of.
func (s *sequence) remember(r *request, a *answer) {
	if a.Code >= 300 || a.Body["kind"] == "Scale" || a.Body["kind"] == "Status" || s.isDryRun(r) {
		return
	}
	s.live = a.Body
}

func (s *sequence) isDryRun(r *request) bool {
	_, dry := r.query["dryRun"]
	return dry
}

func (s *sequence) clean(ctx context.Context, peers []*peer) error {
	for _, p := range peers {
		// Finalizers would keep it.
		patch := request{Method: "PATCH", Path: s.path(s.kind.versions[0]) + "/" + s.name, Type: "application/merge-patch+json", Body: object{"metadata": object{"finalizers": nil}}}
		if _, err := p.send(ctx, &patch); err != nil {
			return err
		}
		if _, err := p.send(ctx, &request{Method: "DELETE", Path: s.path(s.kind.versions[0]) + "/" + s.name + "?gracePeriodSeconds=0"}); err != nil {
			return err
		}
	}
	return nil
}

func (s *sequence) path(version string) string {
	prefix := "/apis/" + version
	if version == "v1" {
		prefix = "/api/v1"
	}
	if !s.kind.cluster {
		prefix += "/namespaces/" + namespace
	}
	return prefix + "/" + s.kind.resource
}

// next makes the next request.
func (s *sequence) next() *request {
	version := s.kind.versions[s.r.Intn(len(s.kind.versions))]
	manager := managers[s.r.Intn(len(managers))]
	r := &request{Agent: manager + "/v1 (agent)", query: map[string]any{}}
	if s.r.Intn(3) > 0 {
		r.query["fieldManager"] = manager
	}
	if s.r.Intn(15) == 0 {
		r.query["dryRun"] = "All"
	}
	path := s.path(version)
	switch choice := s.r.Intn(100); {
	case s.live == nil && choice < 60:
		r.Method = "POST"
		r.Body = s.whole(version)
	case s.live == nil || choice < 50:
		s.apply(r, version, manager)
		path += "/" + s.name
	case choice < 65:
		r.Method = "PUT"
		body := s.edited(version)
		if s.kind.definition != nil && s.r.Intn(8) > 0 {
			// Custom resources are not updated without.
			merge(body, object{"metadata": object{"resourceVersion": liveVersion}})
		}
		r.Body = body
		path += "/" + s.name
	case choice < 75:
		r.Method, r.Type = "PATCH", "application/merge-patch+json"
		r.Body = s.kind.part(s.r)
		path += "/" + s.name
	case choice < 80 && s.kind.definition == nil:
		r.Method, r.Type = "PATCH", "application/strategic-merge-patch+json"
		r.Body = s.kind.part(s.r)
		path += "/" + s.name
	case choice < 82:
		r.Method, r.Type = "PATCH", "application/merge-patch+json"
		r.Body = object{"metadata": object{"managedFields": s.oddEntries()}}
		path += "/" + s.name
	case choice < 90 && s.kind.status != nil:
		r.Method, r.Type = "PATCH", "application/merge-patch+json"
		r.Body = object{"status": s.kind.status(s.r), "spec": s.kind.part(s.r)["spec"]}
		if s.r.Intn(2) == 0 {
			r.Type = "application/apply-patch+yaml"
			r.query["fieldManager"] = manager
			s.force(r)
			r.Body = object{"apiVersion": version, "kind": s.kind.kind, "metadata": object{"name": s.name}, "status": s.kind.status(s.r)}
		}
		path += "/" + s.name + "/status"
	case choice < 95 && s.kind.scale:
		s.scale(r, manager)
		path += "/" + s.name + "/scale"
	default:
		s.apply(r, version, manager)
		path += "/" + s.name
	}
	if query := values(r.query); query != "" {
		path += "?" + query
	}
	r.Path = path
	return r
}

// apply makes an apply; sometimes of what was applied before, with a part changed.
func (s *sequence) apply(r *request, version, manager string) {
	r.Method, r.Type = "PATCH", "application/apply-patch+yaml"
	r.query["fieldManager"] = manager
	s.force(r)
	wanted := s.whole(version)
	if s.live != nil && s.r.Intn(2) == 0 {
		wanted = s.partial(version)
	}
	if s.r.Intn(3) == 0 {
		for i, done := range slices.Backward(s.done) {
			if done.Type == r.Type && done.query["fieldManager"] == manager && s.told[i].Code < 300 {
				if body, ok := copied(done.Body).(map[string]any); ok && body["kind"] == s.kind.kind && body["status"] == nil {
					wanted = body
				}
				break
			}
		}
	}
	if s.r.Intn(40) == 0 {
		wanted["bogus"] = 1
	}
	r.Body = wanted
}

func (s *sequence) force(r *request) {
	if s.r.Intn(2) == 0 {
		r.query["force"] = "true"
	}
}

// whole is an object with all that is required, now and then as kubectl's client-side apply leaves it.
func (s *sequence) whole(version string) object {
	out := s.partial(version)
	if s.kind.required != nil {
		merge(out, s.kind.required())
	}
	if s.r.Intn(6) == 0 {
		merge(out, object{"metadata": object{"annotations": object{"kubectl.kubernetes.io/last-applied-configuration": text(out) + "\n"}}})
	}
	return out
}

func (s *sequence) partial(version string) object {
	out := s.kind.part(s.r)
	out["apiVersion"], out["kind"] = version, s.kind.kind
	metadata, _ := out["metadata"].(object)
	if metadata == nil {
		metadata = object{}
	}
	metadata["name"] = s.name
	out["metadata"] = metadata
	return out
}

// edited is the live object with something else in it, as a client sends it back.
func (s *sequence) edited(version string) object {
	if s.live["apiVersion"] != version {
		return s.whole(version)
	}
	out, _ := copied(s.live).(map[string]any)
	metadata, _ := out["metadata"].(map[string]any)
	for _, field := range []string{"resourceVersion", "uid", "creationTimestamp"} {
		delete(metadata, field)
	}
	if s.r.Intn(2) == 0 {
		delete(metadata, "managedFields")
	}
	entries, _ := metadata["managedFields"].([]any)
	for _, entry := range entries {
		// The servers' seconds differ.
		entry.(map[string]any)["time"] = "2020-01-01T00:00:00Z"
	}
	if spec, ok := out["spec"].(map[string]any); ok && s.kind.resource == "services" {
		// Each server has given addresses and ports of its own.
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
		ports, _ := spec["ports"].([]any)
		for _, port := range ports {
			delete(port.(map[string]any), "nodePort")
		}
	}
	merge(out, s.kind.part(s.r))
	return out
}

// oddEntries are managedFields that clients may send.
func (s *sequence) oddEntries() any {
	entry := object{"manager": "odd", "operation": "Update", "apiVersion": s.kind.versions[0], "fieldsType": "FieldsV1", "time": "2020-01-01T00:00:00Z",
		"fieldsV1": object{"f:metadata": object{"f:labels": object{".": object{}, "f:l1": object{}}}}}
	switch s.r.Intn(8) {
	case 0:
		return []any{object{}}
	case 1:
		return nil
	case 2:
		entry["operation"] = "Sing"
	case 3:
		delete(entry, "apiVersion")
	case 4:
		entry["apiVersion"] = "nowhere/v7"
	case 5:
		entry["operation"] = "Apply"
	case 6:
		entry["fieldsV1"] = object{"x": object{}}
	}
	return []any{entry}
}

func (s *sequence) scale(r *request, manager string) {
	scale := object{"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": object{"name": s.name, "namespace": namespace}, "spec": object{"replicas": s.r.Intn(4)}}
	r.Body = scale
	switch s.r.Intn(3) {
	case 0:
		r.Method = "PUT"
	case 1:
		r.Method, r.Type = "PATCH", "application/merge-patch+json"
		r.Body = object{"spec": scale["spec"]}
	default:
		r.Method, r.Type = "PATCH", "application/apply-patch+yaml"
		r.query["fieldManager"] = manager
		s.force(r)
	}
}

func values(query map[string]any) string {
	out := url.Values{}
	for key, value := range query {
		out.Set(key, fmt.Sprint(value))
	}
	return out.Encode()
}

// merge puts what is in part into whole.
func merge(whole, part map[string]any) {
	for key, value := range part {
		inner, isMap := value.(map[string]any)
		own, both := whole[key].(map[string]any)
		if isMap && both {
			own = maps.Clone(own)
			merge(own, inner)
			whole[key] = own
		} else {
			whole[key] = value
		}
	}
}

func copied(value any) any {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(encoded, &out) != nil {
		return nil
	}
	return out
}
