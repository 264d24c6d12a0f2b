/** One example for each call that people make by hand, as docs/rest.md shows them in this order and its test runs them. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  "GET /v1/kv/{bucket}/{key}": `
$ curl -X PUT localhost:7001/v1/kv/demo/hello -d 'world'

$ curl localhost:7002/v1/kv/demo/hello
world

$ curl 'localhost:7002/v1/kv/demo/hello?consistency=ONE'
world

$ curl 'localhost:7002/v1/kv/demo/hello?explain=1'
{"key":"hello","partition":254,"owners":[...],"fallbacks":[],"equal":true}
`,
  "PUT /v1/kv/{bucket}/{key}": `
$ curl -i -X PUT localhost:7001/v1/kv/demo/greeting -d '{"en":"hello"}' -H 'Content-Type: application/json' -H 'X-TTL: 2h' -H 'X-Meta-Author: Ann'
HTTP/1.1 204 No Content
...

$ curl -X PUT localhost:7001/v1/kv/demo/greeting -d 'hi' -H 'If-None-Match: *'
{"etag":"...","context":"...","type":"urn:hutch:problem:precondition-failed","title":"Precondition failed","status":412,...}

$ curl -X PUT localhost:7001/v1/kv64/demo/Li4 -d 'the key is two dots'
`,
  "DELETE /v1/kv/{bucket}/{key}": `
$ curl -i -X DELETE localhost:7001/v1/kv/demo/greeting
HTTP/1.1 204 No Content
...
`,
  "POST /v1/kv/{bucket}": `
$ curl -i -X POST localhost:7001/v1/kv/orders -d 'two apples'
HTTP/1.1 201 Created
...
Location: /v1/kv/orders/...
...
`,
  "GET /v1/kv/{bucket}": `
$ curl 'localhost:7001/v1/kv/demo?prefix=h&limit=10&values=1'
{"keys":[{"key":"hello",...,"value":"world"...}],"prefixes":[],"cursor":"","complete":true,"partial":false}
`,
  "POST /v1/batch": `
$ curl localhost:7001/v1/batch -H 'Content-Type: application/json' -d '{"ops":[{"op":"put","bucket":"demo","key":"a","value":"1"},{"op":"get","bucket":"demo","key":"hello"}]}'
{"results":[{"status":204,...},{"status":200,...}]}
`,
  "GET /v1/export/{bucket}": `
$ curl -s localhost:7001/v1/export/demo > demo.ndjson
`,
  "POST /v1/import/{bucket}": `
$ curl localhost:7001/v1/import/copy -H 'Content-Type: application/x-ndjson' --data-binary @demo.ndjson
{"imported":4,"failed":0,"errors":[]}
`,
  "GET /v1/buckets": `
$ curl localhost:7001/v1/buckets
{"buckets":[...]}
`,
  "PUT /v1/buckets/{bucket}": `
$ curl -X PUT localhost:7001/v1/buckets/cart -H 'Content-Type: application/json' -d '{"blindPut":"sibling","siblingsMax":10}'
{"n":3,"conflicts":"siblings","blindPut":"sibling","consistency":"QUORUM","strict":false,"ttl":0,"siblingsMax":10,"valueBytesMax":1048576}

$ curl -X PUT localhost:7001/v1/kv/cart/7 -d 'tea, honey'

$ curl -X PUT localhost:7001/v1/kv/cart/7 -d 'tea, sugar'

$ curl localhost:7001/v1/kv/cart/7
{"context":"...","siblings":[{"dot":...},{"dot":...}]}
`,
  "GET /v1/cluster": `
$ curl localhost:7001/v1/cluster
{"name":"hutch",...,"layoutVersion":1,"q":256,"n":3,"nodes":{"up":3,"suspect":0,"down":0},"partitions":{"serving":256,"syncing":0}}
`,
  "GET /v1/cluster/ring": `
$ curl 'localhost:7001/v1/cluster/ring?key=demo/hello'
{"key":"hello","partition":254,"owners":["n2","n1","n3"],"fallbacks":[]}
`,
  "POST /v1/cluster/layout/preview": `
$ curl localhost:7001/v1/cluster/layout/preview -H 'Content-Type: application/json' -d '{"changes":[{"node":"n1","weight":2}]}'
...
`,
  "GET /v1/admin/hints": `
$ curl localhost:7001/v1/admin/hints
{"targets":[]}
`,
  "POST /v1/admin/repair": `
$ curl -X POST localhost:7001/v1/admin/repair
{"id":"repair-1"}

$ curl localhost:7001/v1/admin/jobs/repair-1
{"id":"repair-1","kind":"repair","state":...}
`,
  "GET /healthz": `
$ curl localhost:7001/healthz
...
`,
  "GET /metrics": `
$ curl -s localhost:7001/metrics | grep -c hutch_
...
`,
};
