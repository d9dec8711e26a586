a: 1
b: {{ grians.os }}
