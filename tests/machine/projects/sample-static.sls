# init: installer=static
# check: curl -fsS http://127.0.0.1/ | grep 'files, as they are'
