import DFMergeCAPI
import DFMergeCore
import Testing

private final class Parent: HandleObject {
  static let handleName = "dfm_parent"
}

private final class Child: HandleObject {
  static let handleName = "dfm_child"
  let parent: Parent
  init(of parent: Parent) { self.parent = parent }
}

@Suite struct HandleTests {
  private func failure<Object: HandleObject>(
    _ pointer: OpaquePointer?, as kind: Object.Type
  ) -> DFMergeError? {
    do throws(DFMergeError) {
      _ = try Handle.get(pointer, as: kind, argument: "parent")
      return nil
    } catch {
      return error
    }
  }

  @Test func getReturnsTheObject() throws {
    let parent = Parent()
    let handle = Handle.make(parent)
    #expect(try Handle.get(handle, as: Parent.self, argument: "parent") === parent)
    #expect(Handle.free(handle, as: Parent.self))
  }

  @Test func nullIsNamed() {
    let error = failure(nil, as: Parent.self)
    #expect(error?.code == .nullPointer)
    #expect(error?.message == "'parent' is NULL; pass a dfm_parent.")
    #expect(!Handle.free(nil, as: Parent.self))
  }

  @Test func anotherKindIsNamed() {
    let handle = Handle.make(Child(of: Parent()))
    let error = failure(handle, as: Parent.self)
    #expect(error?.code == .wrongHandle)
    #expect(error?.message == "'parent' is a dfm_child; pass a dfm_parent.")
    #expect(!Handle.free(handle, as: Parent.self))
    #expect(Handle.free(handle, as: Child.self))
  }

  @Test func freedHandleIsRejectedAfterItsMemoryIsReused() {
    let freed = Handle.make(Parent())
    #expect(Handle.free(freed, as: Parent.self))
    #expect(!Handle.free(freed, as: Parent.self))
    var later: [OpaquePointer?] = []
    for _ in 0..<100 { later.append(Handle.make(Parent())) }
    #expect(!later.contains(freed))
    #expect(failure(freed, as: Parent.self)?.code == .wrongHandle)
    for handle in later { #expect(Handle.free(handle, as: Parent.self)) }
  }

  @Test(arguments: [UInt(1), 16, 0x7fff_ffff_f000, 0xDF00_0000_0000_0001, .max])
  func foreignPointerIsRejectedUnread(address: UInt) {
    let foreign = OpaquePointer(bitPattern: address)
    #expect(failure(foreign, as: Parent.self)?.code == .wrongHandle)
    #expect(!Handle.free(foreign, as: Parent.self))
  }

  @Test func childKeepsItsParentAliveWhateverIsFreedFirst() throws {
    weak var seen: Parent?
    var handles: (parent: OpaquePointer?, child: OpaquePointer?)
    do {
      let parent = Parent()
      seen = parent
      handles = (Handle.make(parent), Handle.make(Child(of: parent)))
    }
    #expect(Handle.free(handles.parent, as: Parent.self))
    #expect(seen != nil)
    #expect(Handle.free(handles.child, as: Child.self))
    #expect(seen == nil)
  }

  @Test func threadsMakeAndFreeAtOnce() async {
    let lost = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var lost = 0
          for _ in 0..<2000 {
            let parent = Parent()
            let handle = Handle.make(parent)
            let found = try? Handle.get(handle, as: Parent.self, argument: "parent")
            if found !== parent || !Handle.free(handle, as: Parent.self) { lost += 1 }
          }
          return lost
        }
      }
      return await group.reduce(0, +)
    }
    #expect(lost == 0)
  }
}
