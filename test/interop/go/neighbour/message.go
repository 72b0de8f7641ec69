package main

const serviceName = "interop.v1.Interop"

// message is Message of interop.proto.
type message struct {
	Text    string `protobuf:"bytes,1,opt,name=text,proto3"`
	Number  int32  `protobuf:"varint,2,opt,name=number,proto3"`
	Payload []byte `protobuf:"bytes,3,opt,name=payload,proto3"`
}

func (m *message) Reset()         { *m = message{} }
func (m *message) String() string { return m.Text }
func (*message) ProtoMessage()    {}

func method(name string) string { return "/" + serviceName + "/" + name }
