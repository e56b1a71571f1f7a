package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// sorted is a copy in a fixed order, for comparing sets.
func sorted[T any](in []T) []T {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b T) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}
