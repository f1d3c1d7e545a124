package config

// Where a value comes from. A third possibility is the name of another variable.
const (
	FromDefault     = "default"
	fromEnvironment = "environment"
)

// Setting is a variable with the value in force. It is one line of "pgorigin config".
type Setting struct {
	Word     string `json:"-"` // the name without Prefix and origin
	File     bool   `json:"-"` // the variable names a file
	Variable string `json:"variable"`
	Origin   string `json:"origin,omitempty"` // empty: the whole process
	Value    string `json:"value"`            // empty: there is none, and Unset says what holds then
	From     string `json:"from"`
	Unset    string `json:"unset,omitempty"`
}

// Settings returns the settings of the process and of the unnamed origin.
func (s *Config) Settings() []Setting { return s.settings(Variables()) }

// Settings returns the settings of one origin.
func (o *Origin) Settings() []Setting { return o.settings(originVariables()) }

// AllSettings returns the settings of the process and of every origin.
func (s *Config) AllSettings() []Setting {
	list := s.Settings()
	for _, o := range s.named {
		list = append(list, o.Settings()...)
	}
	return list
}

func (o *Origin) settings(rows []Variable) []Setting {
	var list []Setting
	for _, v := range rows {
		s := Setting{
			Word: v.Word, File: v.File != NoFile,
			Variable: o.nameOf(v.Word), Value: o.values[v.Word], From: FromDefault,
		}
		if v.PerOrigin {
			s.Origin = o.Name()
		}
		if _, given := o.given[v.Word]; given {
			s.From = fromEnvironment
		}
		if o.inherited[v.Word] {
			s.From = o.Variable(v.Word)
		}
		if _, ok := o.fromURL[v.Word]; ok {
			s.From = o.own("UPSTREAM_URL")
		}
		if s.Value == "" {
			s.Unset = v.Unset
		} else if v.Secret {
			s.Value = "(set)"
		}
		list = append(list, s)
	}
	return list
}
