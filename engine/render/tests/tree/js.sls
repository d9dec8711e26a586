#!json
{"a": 1}
