-- question: images, duplicates and rejects after duplicates are found
-- one row: one kept image, one duplicate, one reject
-- example: run by `xray-mining merge`
insert into images by name
select
    raw_images.* exclude (patient_sequence, sequence_by),
    coalesce(sequenced.patient_sequence, 1) as patient_sequence,
    sequenced.sequence_by
from raw_images
inner join settled on raw_images.rowid = settled.raw_row
left join sequenced on raw_images.rowid = sequenced.raw_row
where settled.outcome = 'kept';

insert into duplicates by name
select
    raw_images.image_key as instance_key,
    raw_images.study_key,
    raw_images.patient_key,
    raw_images.file_key,
    raw_images.archive,
    raw_images.shard,
    settled.keeper_key as image_key,
    settled.outcome as reason
from raw_images
inner join settled on raw_images.rowid = settled.raw_row
where settled.outcome in ('same_instance', 'same_pixels');

-- a duplicate found within a shard refers to a copy; replace it by the image kept for that copy
insert into duplicates by name
select
    raw_duplicates.* exclude (image_key),
    coalesce(settled.keeper_key, raw_duplicates.image_key) as image_key
from raw_duplicates
left join settled
    on
        raw_duplicates.image_key = settled.image_key
        and settled.outcome in ('kept', 'same_pixels');

insert into rejects by name
select * from raw_rejects;

insert into rejects by name
select
    raw_images.file_key,
    raw_images.archive,
    raw_images.shard,
    raw_images.position,
    raw_images.frame,
    'merge' as stage,
    'uid_reused' as reason,
    'An earlier file has the same SOPInstanceUID but clearly shows another picture.' as sentence,
    0 as bytes
from raw_images
inner join settled on raw_images.rowid = settled.raw_row
where settled.outcome = 'uid_reused';
