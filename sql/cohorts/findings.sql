-- question: which of several findings an image shows, all predicted by one model
-- one row: one image that is not declared lateral; a patient may have several
-- note: a label is a finding of the archive (1 present, 0 absent, -1 uncertain); in a phantom it is
-- what was planted: a nodule, the disease, a heart wider than half the chest; a label with several
-- different answers for an image is uncertain
-- parameter: $labels text = 'all'  names of findings, comma-separated; all: NIH's and CheXpert's
-- parameter: $absent text = 'unknown'  what a label without a row is: unknown, or false where the
-- archive lists only what is there (a table with a column of words)
-- target: findings labels uncertain=ignore unknown=ignore least=10
-- made of: findings
-- example: xray-mining cohort findings --param absent=false
with
-- step: files that are there, one of each exposure
present as (
    select image_key, patient_source, view_position
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, view_position
    from present
    where patient_source != 'none'
),

-- step: frontal, or of unknown view
not_lateral as (
    select image_key
    from identified
    where
        (view_position is null or view_position in ('PA', 'AP'))
        and if(
            $absent in ('unknown', 'false'),
            true,
            error('absent must be unknown or false')
        )
),

-- step: with an answer to one of the labels
answered as (
    with
    wanted as (
        select unnest(
            if(
                $labels = 'all',
                [
                    'atelectasis', 'cardiomegaly', 'consolidation', 'edema', 'effusion',
                    'emphysema', 'enlarged_cardiomediastinum', 'fibrosis', 'fracture', 'hernia',
                    'infiltration', 'lung_lesion', 'lung_opacity', 'mass', 'nodule',
                    'pleural_effusion', 'pleural_other', 'pleural_thickening', 'pneumonia',
                    'pneumothorax', 'disease'
                ],
                list_transform(string_split($labels, ','), lambda name: trim(name))
            )
        ) as name
    ),

    stated as (
        select image_key, name, value
        from image_findings
        where value in (1, 0, -1) and source != 'phantom_truth'
        union all by name
        select
            image_key,
            case name
                when 'nodule_count' then 'nodule'
                when 'disease_group' then 'disease'
                else 'cardiomegaly'
            end as name,
            case name
                when 'nodule_count' then value > 0
                when 'disease_group' then label = 'diseased'
                else value > 0.5
            end::double as value
        from image_findings
        where
            source = 'phantom_truth'
            and name in ('nodule_count', 'disease_group', 'cardiothoracic_ratio')
    ),

    by_image as (
        select
            not_lateral.image_key,
            stated.name,
            if(min(stated.value) = max(stated.value), min(stated.value), -1.0) as value
        from not_lateral
        inner join stated on not_lateral.image_key = stated.image_key
        group by not_lateral.image_key, stated.name
    ),

    labels as (
        select distinct by_image.name
        from by_image
        semi join wanted on by_image.name = wanted.name
    )

    select
        images.image_key,
        map_from_entries(
            list(
                (labels.name, coalesce(given.value, if($absent = 'false', 0.0, null)))
                order by labels.name
            )
        ) as findings
    from (select distinct image_key from by_image) as images
    cross join labels
    left join by_image as given
        on images.image_key = given.image_key and labels.name = given.name
    group by images.image_key
)

select image_key, findings
from answered
