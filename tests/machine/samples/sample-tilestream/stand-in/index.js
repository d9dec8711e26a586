// Answers what tilestream answers for a tile, out of the same files: /v2/MAP/Z/X/Y.png of MAP.mbtiles. The real one needs a
// node.js of 2014 and is not in npm's registry.
const {execFile} = require("child_process");
const options = Object.fromEntries(process.argv.slice(2).filter((word) => word.startsWith("--"))
    .map((word) => word.slice(2).split("=")));
require("http").createServer((question, answer) => {
    const tile = /^\/v2\/(\w+)\/(\d+)\/(\d+)\/(\d+)\.png$/.exec(question.url);
    if (!tile) return answer.writeHead(404).end("no such tile\n");
    const [, map, z, x, y] = tile;
    // MBTiles count rows from the south.
    const sql = `select tile_data from tiles where zoom_level=${z} and tile_column=${x} and tile_row=${2 ** z - 1 - y}`;
    execFile("sqlite3", [`${options.tiles}/${map}.mbtiles`, sql], (error, out) =>
        error || !out ? answer.writeHead(404).end("no such tile\n") : answer.end(out));
}).listen(options.tilePort, "127.0.0.1");
