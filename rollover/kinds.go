package rollover

import (
	"fmt"
	"strings"
)

type (
	after = []Wait
	do    = []Action
)

// Kinds is the table of everything rollover can do with keys: the only place
// to touch to add a way of rolling. It is made anew on each call, so that
// nobody can alter it.
func Kinds() []Kind {
	return []Kind{
		{
			Type: "zsk", Method: "pre-publish", Role: ZSK, Based: "RFC 6781 4.1.1.1, RFC 7583 3.2.1",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"switch", after{Settled(RecordDNSKEY, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordData, SignedBy(New), NotSignedBy(Old))}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "ksk", Method: "double-ds", Role: KSK, Based: "RFC 6781 4.1.2, RFC 7583 3.3.2", Rescue: "double-signature",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"withdraw", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "ksk", Method: "double-signature", Role: KSK, Based: "RFC 6781 4.1.2, RFC 7583 3.3.1",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordDS, Has(New)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-ds", Role: CSK, Based: "RFC 6781 4.1.3, RFC 7583 3.3.2", Rescue: "double-signature",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDNSKEY, Has(New)), Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"withdraw", after{Settled(RecordDNSKEY, SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordData, SignedBy(New), NotSignedBy(Old)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-signature", Role: CSK, Based: "RFC 6781 4.1.3, RFC 7583 3.3.1",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordDS, Has(New)), Settled(RecordData, SignedBy(New)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			// PowerDNS lists every published KSK in CDS, active or not: the parent
			// has both while both are published, and drops old only after old is
			// gone from the DNSKEY set, which is safe once old signs nothing that
			// a cache may hold.
			Type: "ksk", Method: "double-ds-cds", Role: KSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.2", Rescue: "double-signature-cds",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			Type: "ksk", Method: "double-signature-cds", Role: KSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.1",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New), SignedBy(New)), Settled(RecordDS, Has(New))}, do{Deactivate(Old), Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-ds-cds", Role: CSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.2", Rescue: "double-signature-cds",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDNSKEY, Has(New)), Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordDNSKEY, SignedBy(New)), Settled(RecordData, SignedBy(New), NotSignedBy(Old))}, do{Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-signature-cds", Role: CSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.1",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New), SignedBy(New)), Settled(RecordDS, Has(New)), Settled(RecordData, SignedBy(New))}, do{Deactivate(Old), Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			// The way back. New does not sign, so caches need it only if somebody
			// let it sign by hand; until that is out of them it stays.
			Type: "cancel", Method: "zsk", Role: ZSK, Based: "the failing pairs of docs/decides.md, read backwards",
			Steps: []Step{
				{"remove", after{Settled(RecordData, SignedBy(Old))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// While a cache may hold a DNSKEY set that only new signed (somebody
			// switched by hand), the DS of new must stay; while one may hold a DS
			// set with new alone, new itself.
			Type: "cancel", Method: "ksk", Role: KSK, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: "ksk",
			Steps: []Step{
				{"withdraw", after{Settled(RecordDNSKEY, SignedBy(Old))}, do{AskParent(Old)}},
				{"remove", after{Settled(RecordDS, Has(Old), Lacks(New))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			Type: "cancel", Method: "csk", Role: CSK, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: "csk",
			Steps: []Step{
				{"withdraw", after{Settled(RecordDNSKEY, SignedBy(Old))}, do{AskParent(Old)}},
				{"remove", after{Settled(RecordDS, Has(Old), Lacks(New)), Settled(RecordData, SignedBy(Old))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// The parent drops the DS of new only after new is gone from CDS. That
			// is safe while every cached DS set has old too, and old signs.
			Type: "cancel", Method: "ksk-cds", Role: KSK, CDS: true, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: "ksk-cds",
			Steps: []Step{
				{"remove", after{Settled(RecordDS, Has(Old)), Settled(RecordDNSKEY, SignedBy(Old))}, do{Remove(New), AskParent(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New)), Courtesy(Seen(RecordDS, Lacks(New)))}, nil},
			},
		},
		{
			Type: "cancel", Method: "csk-cds", Role: CSK, CDS: true, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: "csk-cds",
			Steps: []Step{
				{"remove", after{Settled(RecordDS, Has(Old)), Settled(RecordDNSKEY, SignedBy(Old)), Settled(RecordData, SignedBy(Old))}, do{Remove(New), AskParent(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New)), Courtesy(Seen(RecordDS, Lacks(New)))}, nil},
			},
		},
	}
}

// FindKind is the row of the table with this type and method.
func FindKind(kindType, method string) (Kind, error) {
	var known []string
	for _, k := range Kinds() {
		if k.Type == kindType && k.Method == method {
			return k, nil
		}
		known = append(known, k.Name())
	}
	return Kind{}, fmt.Errorf("there is no rollover of type %q by method %q: the table has %s", kindType, method, strings.Join(known, ", "))
}
