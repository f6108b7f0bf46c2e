package portal

import "time"

// A SigningKey is a key that signs tokens, as the API shows it.
type SigningKey struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Status    string    `json:"status"` // next, current or retired
	CreatedAt time.Time `json:"created_at"`
	UseAt     time.Time `json:"used_from"`
	RetireAt  time.Time `json:"published_until"`
}

// Pill is the class of the mark that shows the status.
func (k SigningKey) Pill() string {
	switch k.Status {
	case "current":
		return "good"
	case "next":
		return "caution"
	}
	return "off"
}

// StatusName is the status as people say it.
func (k SigningKey) StatusName() string {
	switch k.Status {
	case "current":
		return "Signs now"
	case "next":
		return "Next"
	case "retired":
		return "Retired"
	}
	return k.Status
}

// A SigningKeysPage lists the keys that sign tokens.
type SigningKeysPage struct {
	Keys []SigningKey
	None Empty
}

func (SigningKeysPage) page() string { return "signing-keys" }
