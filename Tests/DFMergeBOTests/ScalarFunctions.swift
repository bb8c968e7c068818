import Glibc

func scalarLog(_ x: Double) -> Double { log(x) }
func scalarExp(_ x: Double) -> Double { exp(x) }
func scalarSin(_ x: Double) -> Double { sin(x) }
func scalarCos(_ x: Double) -> Double { cos(x) }
