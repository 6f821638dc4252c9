package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func paths(found []difference) []string {
	out := []string{}
	for _, d := range found {
		out = append(out, d.path)
	}
	return out
}

func TestStepsAreReadInBothForms(t *testing.T) {
	cases, err := parseCases("f", []byte(`
- case: a claim
  steps:
  - GET /api
  - do: POST /api/v1/namespaces/$ns/pods
    body: {metadata: {name: a}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if cases[0].Steps[0].path() != "/api" || cases[0].Steps[1].method() != "POST" || !cases[0].usesNamespace() {
		t.Errorf("read as %+v", cases[0])
	}
}

func TestBrokenCasesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"- {case: a, steps: [get /api]}":                            "does not begin with a method",
		"- {case: a, steps: [GET]}":                                 "no path",
		"- {case: a, steps: [{do: GET /, nope: 1}]}":                "unknown field",
		"- {case: a, steps: [{do: GET /, compare: nearly}]}":        "compare: nearly",
		"- {steps: [GET /]}":                                        "a name and steps",
		"- {case: a, steps: [{do: PUT /, body: {}, base64: YQ==}]}": "both body and base64",
	} {
		if _, err := parseCases("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestOneMoreElementIsOneDifference(t *testing.T) {
	left := parse(t, `[{"name":"a","v":1},{"name":"c","v":3}]`)
	right := parse(t, `[{"name":"a","v":1},{"name":"b","v":2},{"name":"c","v":4}]`)
	if got := paths(compare("body", left, right)); !reflect.DeepEqual(got, []string{"body[c].v", "body[b]"}) {
		t.Errorf("got %v", got)
	}
}

func TestAnotherOrderIsADifference(t *testing.T) {
	if got := paths(compare("body", parse(t, `["a","b"]`), parse(t, `["b","a"]`))); !reflect.DeepEqual(got, []string{"body[order]"}) {
		t.Errorf("got %v", got)
	}
}

func TestNullIsNotNothing(t *testing.T) {
	if got := compare("", parse(t, `{"a":null}`), parse(t, `{}`)); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestWhatTheServerMadeUpIsNormalisedAndWhatTheRequestSaidIsNot(t *testing.T) {
	s := newSession(&peer{url: "https://127.0.0.1:7443"}, "diff-x")
	s.said.WriteString(`{"clusterIP":"10.96.0.77","when":"2001-01-01T00:00:00Z","generateName":"web-"}`)
	s.variables["rv"] = "41"
	got := (&normaliser{session: s}).normalise(parse(t, `{
		"a": "5bd1a1b0-d1f0-4c1c-9b1a-0d6ad9f4c0aa", "b": "2026-11-21T10:00:00Z", "c": "2001-01-01T00:00:00Z",
		"ip": "10.96.3.4", "mine": "10.96.0.77", "nodePort": 31234, "ns": "diff-x/y",
		"metadata": {"generateName": "web-", "name": "web-bcdfg", "resourceVersion": "42"},
		"other": {"resourceVersion": "41"}, "none": {"resourceVersion": "0"}, "message": "pods \"web-bcdfg\" not found",
		"cells": ["5m3s", "13"]
	}`).(map[string]any))
	want := parse(t, `{
		"a": "<uid>", "b": "<time>", "c": "2001-01-01T00:00:00Z",
		"ip": "<address>", "mine": "10.96.0.77", "nodePort": "<port>", "ns": "$ns/y",
		"metadata": {"generateName": "web-", "name": "web-<generated>", "resourceVersion": "<version>"},
		"other": {"resourceVersion": "$rv"}, "none": {"resourceVersion": "0"}, "message": "pods \"web-<generated>\" not found",
		"cells": ["<age>", "13"]
	}`)
	if !reflect.DeepEqual(any(got), want) {
		t.Errorf("got %v", show(got, true, 0))
	}
}

func TestBodiesOfDifferentFormAreOneDifference(t *testing.T) {
	left := map[string]any{"status": 200.0, "form": "JSON, compact", "body": map[string]any{"a": 1.0, "b": 2.0}}
	right := map[string]any{"status": 406.0, "form": "JSON, compact", "body": map[string]any{"c": 1.0}}
	if got := paths(compareAnswers(left, right)); !reflect.DeepEqual(got, []string{"status", "body"}) {
		t.Errorf("got %v", got)
	}
}

func TestPathsReachAndRemoveValues(t *testing.T) {
	value := parse(t, `{"items":[{"a.b":1},{"a.b":2}]}`)
	if got := lookup(value, "items.*.a/b"); !reflect.DeepEqual(got, []any{1.0, 2.0}) {
		t.Errorf("got %v", got)
	}
	if !remove(value, []string{"items", "*", "a/b"}) || len(lookup(value, "items.*.a/b")) != 0 {
		t.Errorf("left %v", value)
	}
	if remove(value, []string{"nope"}) {
		t.Error("removed what is not there")
	}
}

func TestKnownDifferencesNeedAReasonAndMatchWhole(t *testing.T) {
	if _, err := parseKnown([]byte("- at: body")); err == nil {
		t.Error("accepted without a reason")
	}
	list, err := parseKnown([]byte(`[{at: 'body\.a', krab: '^\(nothing\)$', reason: why}]`))
	if err != nil {
		t.Fatal(err)
	}
	found := []difference{
		{path: "body.a", left: 1.0, hasLeft: true},
		{path: "body.a", left: 1.0, hasLeft: true, right: 2.0, hasRight: true},
		{path: "body.a.b", left: 1.0, hasLeft: true},
	}
	mark(list, &testCase{}, &step{}, found)
	if found[0].known != "why" || found[1].known != "" || found[2].known != "" || list[0].used != 1 {
		t.Errorf("marked %+v", found)
	}
}

func TestStreamsAreListsAndIndentationCounts(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1}`:                      "JSON, compact, no end of line",
		"{\"a\":1}\n":                  "JSON, compact, end of line",
		"{\n \"a\": 1\n}":              "JSON, indented, no end of line",
		"{\"a\":1}\n{\"a\":2}\n":       "JSON stream, end of line",
		"{\"a\":1}\n{\"a\":2}\nbroken": "broken JSON",
	} {
		if got, _ := jsonTree([]byte(body)); got != want {
			t.Errorf("%q: %s", body, got)
		}
	}
}

func TestProtobufIsShownFieldByField(t *testing.T) {
	// Unknown{typeMeta: {apiVersion: "v1", kind: "Pod"}, raw: {metadata: {name: "a"}}}
	body := "k8s\x00\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x05\x0a\x03\x0a\x01a"
	want := parse(t, `{"k8s":[{"1":[{"1":"v1"},{"2":"Pod"}]},{"2":[{"1":[{"1":"a"}]}]}]}`)
	if got := protobufTree([]byte(body)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %s", show(got, true, 0))
	}
}

func TestYAMLIsComparedByWhatItSays(t *testing.T) {
	for _, body := range []string{"a: 1\nb: [x]\n", "\"b\":\n- x\na: 1\n"} {
		r := &reply{headers: http.Header{"Content-Type": {"application/yaml"}}, body: []byte(body)}
		if form, got := bodyTree(r); form != "YAML, end of line" || !reflect.DeepEqual(got, parse(t, `{"a":1,"b":["x"]}`)) {
			t.Errorf("%q: %s, %v", body, form, got)
		}
	}
}

func TestMetricsAreComparedByNameTypeAndHelp(t *testing.T) {
	got := metricsTree([]byte("# HELP a_total [STABLE] Counts.\n# TYPE a_total counter\na_total{x=\"1\"} 5\n"))
	want := map[string]any{"a_total": map[string]any{"help": "[STABLE] Counts.", "type": "counter"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestHeadersThatMatterAreCompared(t *testing.T) {
	got := headerTree(http.Header{
		"Warning": {`299 - "a"`, `299 - "b"`}, "Audit-Id": {"x"}, "Date": {"now"}, "Vary": {"B, A"},
	})
	want := map[string]any{"Warning": `299 - "a" | 299 - "b"`, "Audit-Id": "is there", "Vary": "A B"}
	for name, value := range want {
		if name == "Vary" {
			value = "A | B"
		}
		if got[name] != value {
			t.Errorf("%s: %v", name, got[name])
		}
	}
	if _, ok := got["Date"]; ok {
		t.Error("Date is compared")
	}
}

func TestVariablesAreExpandedAndOtherDollarsStay(t *testing.T) {
	s := newSession(&peer{}, "diff-x")
	if got := s.expand(`{"$patch":"delete","ns":"$ns"}`); got != `{"$patch":"delete","ns":"diff-x"}` {
		t.Errorf("got %s", got)
	}
}

func TestTheCasesOfThisFolderCanBeRead(t *testing.T) {
	if _, err := readCases("../cases"); err != nil {
		t.Error(err)
	}
	if _, err := readKnown("../diff-known.yaml"); err != nil {
		t.Error(err)
	}
}
