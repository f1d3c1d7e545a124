package config

// CheckLibpq returns what is wrong with the value of a connection parameter, if libpq refuses it and no variable
// has its values. A typo would otherwise mean less than its author wanted. The case of a value does not matter,
// because it does not in JDBC.
func CheckLibpq(parameter, value string) error {
	var err error
	switch parameter {
	case "sslmode": // no-verify is of node-postgres
		_, err = oneOf(value, []string{
			"disable", "allow", "prefer", "no-verify", "require", VerifyCA, verifyFull,
		})
	case "channel_binding":
		_, err = oneOf(value, []string{"disable", "prefer", "require"})
	}
	return err
}
