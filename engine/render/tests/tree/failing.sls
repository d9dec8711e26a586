a:
  - x: {{ salt["test.fail"]() }}
