// What a Swift program needs comes with `import DFMerge` alone: weights, errors and options (Core),
// checkpoints (IO), the listing of methods (Methods), one merge (Engine) and the optimiser (BO).
@_exported import DFMergeBO
@_exported import DFMergeCore
@_exported import DFMergeEngine
@_exported import DFMergeIO
@_exported import DFMergeMethods
