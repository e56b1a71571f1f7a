module rollover

go 1.25.0
