# operation.cpp: the place under the cap is not given back
s/--in_flight_;//
