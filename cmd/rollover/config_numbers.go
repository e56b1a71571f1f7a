package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// unitless refuses a length of time that stands in a configuration as a number:
// TOML has none, and a number would be taken for nanoseconds. What is no TOML at
// all is left to who decodes it.
func unitless(raw []byte) error {
	var tree map[string]any
	if err := toml.Unmarshal(raw, &tree); err != nil {
		return nil
	}
	return unitlessIn(tree, reflect.TypeFor[config](), "")
}

// unitlessIn looks for one in a value that is to be decoded into a type; path is
// its name in the file.
func unitlessIn(value any, into reflect.Type, path string) error {
	if into.Kind() == reflect.Pointer {
		return unitlessIn(value, into.Elem(), path)
	}
	if into == reflect.TypeFor[duration]() {
		return withUnit(value, path)
	}
	if list, ok := value.([]any); ok && into.Kind() == reflect.Slice {
		for i, one := range list {
			if err := unitlessIn(one, into.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	table, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		field, ok := fieldFor(into, name)
		if !ok {
			continue // an unknown field, which the decoder refuses
		}
		if err := unitlessIn(table[name], field, strings.TrimPrefix(path+"."+name, ".")); err != nil {
			return err
		}
	}
	return nil
}

// fieldFor is the type of what a name in a table is decoded into; the decoder
// does not heed the case of names.
func fieldFor(into reflect.Type, name string) (reflect.Type, bool) {
	switch into.Kind() {
	case reflect.Map:
		return into.Elem(), true
	case reflect.Struct:
		for i := range into.NumField() {
			if strings.EqualFold(into.Field(i).Tag.Get("toml"), name) {
				return into.Field(i).Type, true
			}
		}
	}
	return nil, false
}

// withUnit refuses a length of time that is a number, with what to write instead.
func withUnit(value any, path string) error {
	number := ""
	switch v := value.(type) {
	case int64:
		number = strconv.FormatInt(v, 10)
	case float64:
		number = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return nil
	}
	seconds := number + "s"
	other := "5m"
	if d, err := parseDuration(seconds); err == nil && span(time.Duration(d)) != seconds {
		other = span(time.Duration(d))
	}
	return fmt.Errorf("%s = %s is a number without a unit: write %q or %q, whichever is meant, in quotes", path, number, seconds, other)
}
