company: Example Ltd
people:
  deploy: {uid: 4100, fullname: Deploy User}
  ada: {uid: 4101, fullname: Ada Lovelace}
web:
  port: 8088
