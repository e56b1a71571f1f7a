package rollover

import (
	"fmt"
	"strings"
)

type (
	after = []Wait
	do    = []Action
	at    = Place
)

// Kinds is the table of everything rollover can do with keys: the only place
// to touch to add a way of rolling. It is made anew on each call, so that
// nobody can alter it.
func Kinds() []Kind {
	return []Kind{
		{
			Type: "zsk", Method: "pre-publish", Role: ZSK, Based: "RFC 6781 4.1.1.1, RFC 7583 3.2.1", Cancel: "zsk", Revert: "zsk",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"switch", after{Settled(RecordDNSKEY, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordData, SignedBy(New), NotSignedBy(Old))}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			// Both sign at once: no cache may know new when its signatures come, so
			// those of old stay until it does. Larger answers, and half the time.
			Type: "zsk", Method: "double-signature", Role: ZSK, Based: "RFC 6781 4.1.1.2, RFC 7583 3.2.2", Cancel: "zsk",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New)), Settled(RecordData, SignedBy(New))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "ksk", Method: "double-ds", Role: KSK, Based: "RFC 6781 4.1.2, RFC 7583 3.3.2", Rescue: at{"ksk/double-signature", "publish"}, Cancel: "ksk", Revert: "ksk",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Courtesy(Seen(RecordDNSKEY, Has(New)))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"withdraw", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordData, NotSignedBy(Old)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "ksk", Method: "double-signature", Role: KSK, Based: "RFC 6781 4.1.2, RFC 7583 3.3.1", Cancel: "ksk", Revert: "ksk",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordDS, Has(New)), Settled(RecordData, NotSignedBy(Old)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			// DS and DNSKEY change at the same time. The registrar must add: one that
			// replaces breaks the zone for caches that do not know new.
			Type: "ksk", Method: "double-rrset", Role: KSK, Based: "RFC 6781 4.1.2, RFC 7583 3.3.3", Cancel: "ksk", Revert: "ksk",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New), AskParent(Old, New)}},
				{"withdraw", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordDS, Has(New)), Settled(RecordData, NotSignedBy(Old)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-ds", Role: CSK, Based: "RFC 6781 4.1.3, RFC 7583 3.3.2", Rescue: at{"csk/double-signature", "publish"}, Cancel: "csk", Revert: "csk",
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
			Type: "csk", Method: "double-signature", Role: CSK, Based: "RFC 6781 4.1.3, RFC 7583 3.3.1", Cancel: "csk", Revert: "csk",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordDS, Has(New)), Settled(RecordData, SignedBy(New)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-rrset", Role: CSK, Based: "RFC 6781 4.1.3, RFC 7583 3.3.3", Cancel: "csk", Revert: "csk",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New), AskParent(Old, New)}},
				{"withdraw", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"retire", after{Settled(RecordDS, Has(New)), Settled(RecordData, SignedBy(New)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			// PowerDNS lists every published KSK in CDS, active or not: the parent
			// has both while both are published, and drops old only after old is
			// gone from the DNSKEY set, which is safe once old signs nothing that
			// a cache may hold.
			Type: "ksk", Method: "double-ds-cds", Role: KSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.2", Rescue: at{"ksk/double-signature-cds", "publish"}, Cancel: "ksk-cds",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Seen(RecordDNSKEY, Has(New))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New), SignedBy(New)), Settled(RecordData, NotSignedBy(Old))}, do{Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			Type: "ksk", Method: "double-signature-cds", Role: KSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.1", Cancel: "ksk-cds",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Seen(RecordDNSKEY, Has(New))}, do{AskParent(Old, New)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New), SignedBy(New)), Settled(RecordDS, Has(New)), Settled(RecordData, NotSignedBy(Old))}, do{Deactivate(Old), Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-ds-cds", Role: CSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.2", Rescue: at{"csk/double-signature-cds", "publish"}, Cancel: "csk-cds",
			Steps: []Step{
				{"publish", nil, do{Publish(New)}},
				{"submit", after{Seen(RecordDNSKEY, Has(New))}, do{AskParent(Old, New)}},
				{"switch", after{Settled(RecordDNSKEY, Has(New)), Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordDNSKEY, SignedBy(New)), Settled(RecordData, SignedBy(New), NotSignedBy(Old))}, do{Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			Type: "csk", Method: "double-signature-cds", Role: CSK, CDS: true, Based: "RFC 7344 4 and 6.1, RFC 7583 3.3.1", Cancel: "csk-cds",
			Steps: []Step{
				{"publish", nil, do{Publish(New), Activate(New)}},
				{"submit", after{Seen(RecordDNSKEY, Has(New))}, do{AskParent(Old, New)}},
				{"retire", after{Settled(RecordDNSKEY, Has(New), SignedBy(New)), Settled(RecordDS, Has(New)), Settled(RecordData, SignedBy(New))}, do{Deactivate(Old), Remove(Old), AskParent(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old)), Courtesy(Seen(RecordDS, Lacks(Old)))}, nil},
			},
		},
		{
			// PowerDNS decides by the flags of all active keys who signs what: with
			// the first active ZSK a CSK stops to sign data, without the last one a
			// KSK begins to. So whoever signs data afterwards must be in every DNSKEY
			// set before anything is activated or deactivated, in either direction.
			Type: "csk", Method: "convert-double-ds", Based: "RFC 6781 4.1.3, RFC 7583 3.3.2", Rescue: at{"csk/convert-double-signature", "publish"}, Cancel: "csk", Revert: "convert",
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
			// Of new only the key that a DS points to signs at first, beside old:
			// a new ZSK that signs before it is in every DNSKEY set breaks all data.
			Type: "csk", Method: "convert-double-signature", Based: "RFC 6781 4.1.3, RFC 7583 3.3.1", Rescue: at{"csk/convert-double-signature", "publish"}, Cancel: "csk", Revert: "convert",
			Steps: []Step{
				{"publish", nil, do{Publish(New), ActivateEntry(New)}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"switch", after{Settled(RecordDS, Has(New))}, do{Activate(New), Deactivate(Old)}},
				{"retire", after{Settled(RecordData, SignedBy(New), NotSignedBy(Old)), Courtesy(Settled(RecordDS, Lacks(Old)))}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			// A zone must be signed with every algorithm that its DNSKEY set has
			// (RFC 4035 section 2.2), and some validators insist on every algorithm
			// that the DS set has: signatures come before keys, and go after them.
			Type: "algorithm", Method: "conservative", Based: "RFC 6781 4.1.4", Rescue: at{"algorithm/conservative", "publish"}, Cancel: "algorithm", Revert: "algorithm",
			Steps: []Step{
				{"sign", nil, do{Activate(New)}},
				{"publish", after{Settled(RecordData, SignedBy(New))}, do{Publish(New)}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New))}, do{AskParent(New)}},
				{"unpublish", after{Settled(RecordDS, Has(New), Lacks(Old))}, do{Unpublish(Old)}},
				{"retire", after{Settled(RecordDNSKEY, Lacks(Old))}, do{Deactivate(Old), Remove(Old)}},
				{"finish", after{Seen(RecordData, NotSignedBy(Old))}, nil},
			},
		},
		{
			// Data without signatures and the knowledge that there is no DNSKEY set
			// are in caches; a DS makes them bogus. That there is no DS may be cached
			// as well, and harms nobody.
			Type: "sign", Method: "ds-last", Based: "RFC 7583 3.3.5", Cancel: "sign",
			Steps: []Step{
				{"sign", nil, do{Publish(New), Activate(New), Rectify()}},
				{"submit", after{Settled(RecordDNSKEY, Has(New), SignedBy(New)), Settled(RecordData, SignedBy(New))}, do{AddDS(New)}},
				{"finish", after{Seen(RecordDS, Has(New), FoundSecure())}, nil},
			},
		},
		{
			// While a cache may hold any DS, everything must stay signed.
			Type: "unsign", Method: "ds-first", Based: "RFC 6781 4.1.4, RFC 7583 3.3.5, read backwards", Revert: "unsign",
			Steps: []Step{
				{"withdraw", nil, do{AskParent()}},
				{"unsign", after{Settled(RecordDS, Empty())}, do{Remove(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(Old))}, nil},
			},
		},
		{
			// The way back. New does not sign by itself, or not alone: caches need it
			// only if somebody let it sign by hand, or took old out of the DNSKEY set for a
			// while; until that is out of them it stays.
			Type: "cancel", Method: "zsk", Role: ZSK, Based: "the failing pairs of docs/decides.md, read backwards",
			Steps: []Step{
				{"remove", after{Settled(RecordDNSKEY, Has(Old)), Settled(RecordData, SignedBy(Old))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// While a cache may hold a DNSKEY set that only new signed (somebody
			// switched by hand), the DS of new must stay; while one may hold a DS
			// set with new alone, new itself.
			Type: "cancel", Method: "ksk", Role: KSK, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: at{"cancel/ksk", ""},
			Steps: []Step{
				{"withdraw", after{Settled(RecordDNSKEY, SignedBy(Old))}, do{AskParent(Old)}},
				{"remove", after{Settled(RecordDS, Has(Old), Lacks(New)), Settled(RecordData, NotSignedBy(New))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			Type: "cancel", Method: "csk", Role: CSK, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: at{"cancel/csk", ""},
			Steps: []Step{
				{"withdraw", after{Settled(RecordDNSKEY, SignedBy(Old))}, do{AskParent(Old)}},
				{"remove", after{Settled(RecordDS, Has(Old), Lacks(New)), Settled(RecordData, SignedBy(Old))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// The parent drops the DS of new only after new is gone from CDS. That
			// is safe while every cached DS set has old too, and old signs.
			Type: "cancel", Method: "ksk-cds", Role: KSK, CDS: true, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: at{"cancel/ksk-cds", ""},
			Steps: []Step{
				{"remove", after{Settled(RecordDS, Has(Old)), Settled(RecordDNSKEY, SignedBy(Old)), Settled(RecordData, NotSignedBy(New))}, do{Remove(New), AskParent(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New)), Courtesy(Seen(RecordDS, Lacks(New)))}, nil},
			},
		},
		{
			Type: "cancel", Method: "csk-cds", Role: CSK, CDS: true, Based: "the failing pairs of docs/decides.md, read backwards", Rescue: at{"cancel/csk-cds", ""},
			Steps: []Step{
				{"remove", after{Settled(RecordDS, Has(Old)), Settled(RecordDNSKEY, SignedBy(Old)), Settled(RecordData, SignedBy(Old))}, do{Remove(New), AskParent(Old)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New)), Courtesy(Seen(RecordDS, Lacks(New)))}, nil},
			},
		},
		{
			// Both algorithms sign until no cache has a DNSKEY set with new. A DS of new
			// that was put in early goes only while old is what it was.
			Type: "cancel", Method: "algorithm", Based: "RFC 6781 4.1.4, read backwards", Rescue: at{"cancel/algorithm", ""},
			Steps: []Step{
				{"withdraw", after{Settled(RecordDNSKEY, Has(Old), SignedBy(Old))}, do{AskParent(Old)}},
				{"unpublish", after{Settled(RecordDS, Has(Old), Lacks(New))}, do{Unpublish(New)}},
				{"remove", after{Settled(RecordDNSKEY, Lacks(New))}, do{Deactivate(New), Remove(New)}},
				{"finish", after{Seen(RecordData, NotSignedBy(New))}, nil},
			},
		},
		{
			Type: "cancel", Method: "sign", Based: "unsign (ds-first)",
			Steps: []Step{
				{"withdraw", nil, do{AskParent()}},
				{"remove", after{Settled(RecordDS, Empty())}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// Old is in the DNSKEY set, and was so all the while unless somebody took it
			// out by hand: it signs at once, and new beside it until caches have old.
			Type: "revert", Method: "zsk", Role: ZSK, Based: "zsk (double-signature), read backwards",
			Steps: []Step{
				{"activate", nil, do{Activate(Old)}},
				{"retire", after{Settled(RecordDNSKEY, Has(Old)), Settled(RecordData, SignedBy(Old))}, do{Deactivate(New), Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// Whatever the parent has by now: both sign until it has old in every cache.
			Type: "revert", Method: "ksk", Role: KSK, Based: "ksk (double-signature), read backwards",
			Steps: []Step{
				{"activate", nil, do{Activate(Old)}},
				{"submit", after{Settled(RecordDNSKEY, Has(Old), SignedBy(Old))}, do{AskParent(Old)}},
				{"retire", after{Settled(RecordDS, Has(Old)), Settled(RecordData, NotSignedBy(New)), Courtesy(Settled(RecordDS, Lacks(New)))}, do{Deactivate(New), Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			Type: "revert", Method: "csk", Role: CSK, Based: "csk (double-signature), read backwards",
			Steps: []Step{
				{"activate", nil, do{Activate(Old)}},
				{"submit", after{Settled(RecordDNSKEY, Has(Old), SignedBy(Old))}, do{AskParent(Old)}},
				{"retire", after{Settled(RecordDS, Has(Old)), Settled(RecordData, SignedBy(Old)), Courtesy(Settled(RecordDS, Lacks(New)))}, do{Deactivate(New), Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			Type: "revert", Method: "convert", Based: "csk (convert-double-signature), read backwards", Rescue: at{"revert/convert", "activate"},
			Steps: []Step{
				{"activate", nil, do{ActivateEntry(Old)}},
				{"submit", after{Settled(RecordDNSKEY, Has(Old), SignedBy(Old))}, do{AskParent(Old)}},
				{"switch", after{Settled(RecordDS, Has(Old))}, do{Activate(Old), Deactivate(New)}},
				{"retire", after{Settled(RecordData, SignedBy(Old), NotSignedBy(New)), Courtesy(Settled(RecordDS, Lacks(New)))}, do{Remove(New)}},
				{"finish", after{Seen(RecordDNSKEY, Lacks(New))}, nil},
			},
		},
		{
			// Old has signed all data all the while, unless somebody stopped it for some time.
			Type: "revert", Method: "algorithm", Based: "RFC 6781 4.1.4, read backwards", Rescue: at{"revert/algorithm", "publish"},
			Steps: []Step{
				{"publish", after{Settled(RecordData, SignedBy(Old))}, do{Publish(Old)}},
				{"submit", after{Settled(RecordDNSKEY, Has(Old), SignedBy(Old))}, do{AskParent(Old)}},
				{"unpublish", after{Settled(RecordDS, Has(Old), Lacks(New))}, do{Unpublish(New)}},
				{"retire", after{Settled(RecordDNSKEY, Lacks(New))}, do{Deactivate(New), Remove(New)}},
				{"finish", after{Seen(RecordData, NotSignedBy(New))}, nil},
			},
		},
		{
			// Nothing was taken from the zone itself. That it is so is looked at as for a
			// first DS: without one, nobody has missed what somebody did by hand.
			Type: "revert", Method: "unsign", Based: "the failing pairs of docs/decides.md, read backwards",
			Steps: []Step{
				{"submit", after{Settled(RecordDNSKEY, Has(Old), SignedBy(Old)), Settled(RecordData, SignedBy(Old))}, do{AddDS(Old)}},
				{"finish", after{Seen(RecordDS, Has(Old), FoundSecure())}, nil},
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
