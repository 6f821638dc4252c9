package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/randfill"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// samplesSeed makes every run write the same objects.
const samplesSeed = 37

// writeSamples writes objects of every registered kind, filled at random: one line each, its JSON, a tab, and its
// protobuf in base64. An object is what round trips through both leave of it, as the API server holds it.
func writeSamples(out io.Writer, versions []groupVersion, count int) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	random := rand.New(rand.NewSource(samplesSeed))
	serializer := protobuf.NewSerializer(scheme, scheme)
	buffered := bufio.NewWriter(out)
	for _, gv := range registered(versions) {
		kinds := make([]string, 0)
		for kind, t := range scheme.KnownTypes(gv) {
			// Tables have no protobuf form, events of watches embed what is encoded already.
			if strings.HasPrefix(t.String(), "internalversion.") || slices.Contains([]string{"Table", "WatchEvent"}, kind) {
				continue
			}
			// Parameters of requests come in queries; the options of a deletion are a body, too, the same in each group.
			if strings.HasSuffix(kind, "Options") && (kind != "DeleteOptions" || gv.Group != "") {
				continue
			}
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		for _, kind := range kinds {
			for i := range count {
				gvk := gv.WithKind(kind)
				object, err := randomObject(scheme, serializer, gvk, filler(random, i))
				if err != nil {
					return fmt.Errorf("%s: %w", gvk, err)
				}
				var text, binary bytes.Buffer
				if err := json.NewEncoder(&text).Encode(object); err != nil {
					return fmt.Errorf("%s as JSON: %w", gvk, err)
				}
				if err := serializer.Encode(object, &binary); err != nil {
					return fmt.Errorf("%s as protobuf: %w", gvk, err)
				}
				fmt.Fprintf(buffered, "%s\t%s\n", bytes.TrimSpace(text.Bytes()), base64.StdEncoding.EncodeToString(binary.Bytes()))
			}
		}
	}
	return buffered.Flush()
}

func randomObject(
	scheme *runtime.Scheme, serializer *protobuf.Serializer, gvk schema.GroupVersionKind, filler *randfill.Filler,
) (runtime.Object, error) {
	filled, err := scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	filler.Fill(filled)
	filled.GetObjectKind().SetGroupVersionKind(gvk)
	text, err := json.Marshal(filled)
	if err != nil {
		return nil, err
	}
	read, err := scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, read); err != nil {
		return nil, err
	}
	binary, err := runtime.Encode(serializer, read)
	if err != nil {
		return nil, err
	}
	return runtime.Decode(serializer, binary)
}

// filler fills objects, the first of a kind with nothing at all.
func filler(random *rand.Rand, index int) *randfill.Filler {
	f := randfill.New().RandSource(random).NilChance(0.4).NumElements(0, 3).MaxDepth(14)
	if index == 0 {
		f = f.NilChance(1).NumElements(0, 0)
	}
	document := func(c randfill.Continue) []byte {
		return fmt.Appendf(nil, `{"a":%d,"b":[%t,null,"%s"]}`, c.Int63()>>20, c.Bool(), word(c))
	}
	return f.Funcs(
		func(s *string, c randfill.Continue) { *s = word(c) },
		func(f *float64, c randfill.Continue) { *f = float64(c.Int31()) / 64 },
		func(t *metav1.Time, c randfill.Continue) {
			if c.Intn(4) > 0 {
				t.Time = time.Unix(int64(c.Uint32()), 0).UTC()
			}
		},
		func(t *metav1.MicroTime, c randfill.Continue) {
			if c.Intn(4) > 0 {
				t.Time = time.UnixMicro(c.Int63n(4e15)).UTC()
			}
		},
		func(q *resource.Quantity, c randfill.Continue) {
			formats := []resource.Format{resource.BinarySI, resource.DecimalSI, resource.DecimalExponent}
			*q = resource.MustParse(resource.NewQuantity(c.Int63n(1<<40), formats[c.Intn(3)]).String())
		},
		func(v *intstr.IntOrString, c randfill.Continue) {
			*v = intstr.FromInt32(c.Int31())
			if c.Bool() {
				*v = intstr.FromString(word(c))
			}
		},
		func(r *runtime.RawExtension, c randfill.Continue) { r.Raw = document(c) },
		func(f *metav1.FieldsV1, c randfill.Continue) { f.SetRawBytes([]byte(`{"f:` + word(c) + `":{}}`)) },
		func(j *apiextensionsv1.JSON, c randfill.Continue) { j.Raw = document(c) },
		func(s *apiextensionsv1.JSONSchemaPropsOrBool, c randfill.Continue) {
			if s.Allows = c.Bool(); s.Allows && c.Bool() {
				s.Schema = &apiextensionsv1.JSONSchemaProps{Type: word(c)}
			}
		},
		func(s *apiextensionsv1.JSONSchemaPropsOrArray, c randfill.Continue) {
			s.Schema = &apiextensionsv1.JSONSchemaProps{Title: word(c)}
			if c.Bool() {
				s.JSONSchemas, s.Schema = []apiextensionsv1.JSONSchemaProps{*s.Schema, {}}, nil
			}
		},
		func(s *apiextensionsv1.JSONSchemaPropsOrStringArray, c randfill.Continue) {
			s.Property = []string{word(c)}
			if c.Bool() {
				s.Schema, s.Property = &apiextensionsv1.JSONSchemaProps{ID: word(c)}, nil
			}
		},
	)
}

// word is a short text, sometimes none, sometimes one that is more bytes than letters.
func word(c randfill.Continue) string {
	words := []string{"", "a", "b-1", "web.example.com/x", "größer", "0123456789", "日本語", "x y"}
	return words[c.Intn(len(words))]
}
