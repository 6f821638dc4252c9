package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// strategicMerge applies each patch to its document by upstream's strategicpatch.
func strategicMerge(_ *client, before []byte) ([]byte, error) {
	type mergeCase struct {
		Kind     string          `json:"kind"`
		Document json.RawMessage `json:"document"`
		Patch    json.RawMessage `json:"patch"`
		Result   json.RawMessage `json:"result,omitempty"`
		Error    string          `json:"error,omitempty"`
	}
	kinds := map[string]any{"Pod": corev1.Pod{}, "Deployment": appsv1.Deployment{}}
	var cases []mergeCase
	if err := json.Unmarshal(before, &cases); err != nil {
		return nil, err
	}
	for i := range cases {
		c := &cases[i]
		result, err := strategicpatch.StrategicMergePatch(c.Document, c.Patch, kinds[c.Kind])
		c.Result, c.Error = result, ""
		if err != nil {
			c.Result, c.Error = nil, err.Error()
		}
	}
	var out bytes.Buffer
	if err := lines(&out, cases); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// quantities reads, adds, subtracts and compares quantities by upstream's resource package.
func quantities(_ *client, before []byte) ([]byte, error) {
	var present map[string][][]any
	if err := json.Unmarshal(before, &present); err != nil {
		return nil, err
	}
	for i, row := range present["parse"] {
		text := row[0].(string)
		q, err := resource.ParseQuantity(text)
		if err != nil {
			present["parse"][i] = []any{text, "error: " + err.Error()}
			continue
		}
		row = []any{text, q.String()}
		// Beyond this, upstream's int64s overflow.
		if f := q.AsApproximateFloat64(); f > 0 && f < 9e15 {
			row = append(row, q.Value(), q.MilliValue())
		}
		present["parse"][i] = row
	}
	for i, row := range present["pairs"] {
		a, b := row[0].(string), row[1].(string)
		x, y := resource.MustParse(a), resource.MustParse(b)
		sum, difference := x.DeepCopy(), x.DeepCopy()
		sum.Add(y)
		difference.Sub(y)
		present["pairs"][i] = []any{a, b, sum.String(), difference.String(), fmt.Sprint(x.Cmp(y))}
	}
	return object([]string{"parse", "pairs"}, present)
}
