package faults

func clientCertificateFaults() []fault { return nil }
func loginFaults() []fault             { return nil }
func bouncerFaults() []fault           { return nil }
func methodFaults() []fault            { return nil }
func sessionFaults() []fault           { return nil }
func clientFaults() []fault            { return nil }
func startFaults() []fault             { return nil }
