package rollover

// lacking says what a server did not show although it was to show it: no
// answer, or a part of it that is not there, which is as good as none. It is
// empty for one that is not looked at from here.
func (v ServerSighting) lacking(records ...Record) string {
	if v.Unchecked != "" || v.Unknown != "" {
		return v.Unknown
	}
	for _, record := range records {
		if v.Role == record.on() && v.missing(record) {
			return "gave no answer about " + string(record)
		}
	}
	return ""
}
