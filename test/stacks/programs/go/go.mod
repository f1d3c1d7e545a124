module connect

go 1.20
