// A page that says from where it runs.
require("http").createServer((_, answer) => answer.end(`node in ${__dirname}\n`)).listen(process.env.PORT, process.env.HOST);
