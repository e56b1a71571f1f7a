// Package parent asks the parent zone for another DS set by DNS itself: dynamic
// updates (RFC 2136) and NOTIFY(CDS) (RFC 9859). What the parent's servers then
// show is not its business.
package parent
