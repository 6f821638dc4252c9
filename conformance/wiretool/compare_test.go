package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

const protobufMedia = "application/vnd.kubernetes.protobuf"

func encoded(t *testing.T, name string) []byte {
	t.Helper()
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), protobufMedia)
	encoder := scheme.Codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion)
	body, err := runtime.Encode(encoder, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestDifferencesAreNamedByTheirPlace(t *testing.T) {
	json := func(text string) *answer { return &answer{status: 200, media: "application/json", body: []byte(text)} }
	for _, c := range []struct {
		upstream, krab *answer
		want           string
	}{
		{json(`{"a":[{"b":1}]}`), json(`{ "a": [ {"b": 1} ] }`), ""},
		{json(`{"a":[{"b":1}]}`), json(`{"a":[{"b":2}]}`), ".a[0].b: upstream 1, krab 2"},
		{json(`{"a":[]}`), json(`{}`), ".a: upstream [], krab has none"},
		{json(`{"cells":["5m3s"]}`), json(`{"cells":["5m4s"]}`), ""},
		{json(`{}`), &answer{status: 406, media: "application/json"}, "upstream answers 200, krab 406"},
		{json(`{}`), &answer{status: 200, media: "application/yaml"}, `upstream sends "application/json", krab "application/yaml"`},
		{&answer{status: 200, media: protobufMedia, body: encoded(t, "a")}, &answer{status: 200, media: protobufMedia, body: encoded(t, "b")}, ".metadata.name"},
		{&answer{status: 200, media: protobufMedia, body: encoded(t, "a")}, &answer{status: 200, media: protobufMedia, body: append(encoded(t, "a"), 0x22, 0)}, "in other bytes"},
	} {
		if got := difference(question{}, c.upstream, c.krab); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s and %s: got %q, want %q", c.upstream.body, c.krab.body, got, c.want)
		}
	}
}

func TestWatchesAreComparedByTheirEvents(t *testing.T) {
	watch := func(lines ...string) *answer {
		return &answer{status: 200, media: "application/json", body: []byte(strings.Join(lines, "\n") + "\n")}
	}
	a, b := `{"type":"ADDED","object":{"metadata":{"name":"a"}}}`, `{"type":"ADDED","object":{"metadata":{"name":"b"}}}`
	end := func(revision string) string {
		return `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"` + revision + `"}}}`
	}
	q := question{watch: true}
	if got := difference(q, watch(a, b, end("5")), watch(b, a, end("6"))); got != "" {
		t.Error(got)
	}
	if got := difference(q, watch(a, b, end("5")), watch(a, end("5"))); !strings.Contains(got, "krab sends no event") && !strings.Contains(got, "is another") {
		t.Errorf("got %q", got)
	}
}

func TestProtobufFramesAreCutByTheirLengths(t *testing.T) {
	body := append([]byte{0, 0, 0, 1}, 'x', 0, 0, 0, 2, 'y', 'z')
	frames, err := cut(&answer{media: protobufMedia + ";stream=watch", body: body})
	if err != nil || len(frames) != 2 || string(frames[1]) != "yz" {
		t.Errorf("got %q, %v", frames, err)
	}
	if _, err := cut(&answer{media: protobufMedia, body: body[:6]}); err == nil {
		t.Error("half a frame is taken for one")
	}
}
